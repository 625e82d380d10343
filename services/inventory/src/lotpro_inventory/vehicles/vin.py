"""Vehicle identification numbers: their shape and check digit (ISO 3779, 49 CFR 565.15)."""

#: 49 CFR 565.15, table III: what each character counts; I, O and Q are in no VIN.
_VALUES = {str(digit): digit for digit in range(10)} | {
    "A": 1, "B": 2, "C": 3, "D": 4, "E": 5, "F": 6, "G": 7, "H": 8,
    "J": 1, "K": 2, "L": 3, "M": 4, "N": 5, "P": 7, "R": 9,
    "S": 2, "T": 3, "U": 4, "V": 5, "W": 6, "X": 7, "Y": 8, "Z": 9,
}  # fmt: skip
#: 49 CFR 565.15, table IV: the weight of each position; the check digit itself, the ninth, counts nothing.
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)

LENGTH = 17
_CHECK_POSITION = 8
_BETWEEN = str.maketrans("", "", " \t\r\n-")


def normalised(text: str) -> str:
    """A VIN as it is stored: capitals, without blanks and hyphens; not checked."""
    return text.translate(_BETWEEN).upper()


def well_formed(vin: str) -> bool:
    """Whether a normalised VIN has 17 characters, all of which a VIN can have."""
    return len(vin) == LENGTH and all(character in _VALUES for character in vin)


def check_digit(vin: str) -> str:
    """The check digit that a well-formed VIN must carry at its ninth position: 0 to 9 or X."""
    remainder = sum(_VALUES[character] * weight for character, weight in zip(vin, _WEIGHTS, strict=True)) % 11
    return "X" if remainder == 10 else str(remainder)


def check_digit_right(vin: str) -> bool:
    """Whether a well-formed VIN's ninth character is its check digit. European makers need not follow the rule."""
    return vin[_CHECK_POSITION] == check_digit(vin)
