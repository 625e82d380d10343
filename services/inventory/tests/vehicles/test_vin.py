"""VINs: their shape, and the check digit against a slow reading of the regulation."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotpro_inventory.vehicles import vin

ALPHABET = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"

#: 49 CFR 565.15(c), tables III and IV, as they are printed there.
ASSIGNED = """
A 1  B 2  C 3  D 4  E 5  F 6  G 7  H 8  J 1  K 2  L 3  M 4  N 5  P 7  R 9  S 2  T 3  U 4  V 5  W 6  X 7  Y 8  Z 9
"""
WEIGHT_BY_POSITION = {
    1: 8, 2: 7, 3: 6, 4: 5, 5: 4, 6: 3, 7: 2, 8: 10, 10: 9, 11: 8, 12: 7, 13: 6, 14: 5, 15: 4, 16: 3, 17: 2
}


def slow_check_digit(number: str) -> str:
    """Step by step as the regulation says, with a long division by eleven."""
    printed = ASSIGNED.split()
    assigned = dict(zip(printed[::2], map(int, printed[1::2]), strict=True))
    products = []
    for position, weight in WEIGHT_BY_POSITION.items():
        character = number[position - 1]
        value = int(character) if character in string.digits else assigned[character]
        products.append(weight * value)
    total = sum(products)
    while total >= 11:
        total -= 11
    return "X" if total == 10 else str(total)


@given(st.text(ALPHABET, min_size=17, max_size=17))
def test_the_check_digit_is_what_the_regulation_says(number: str) -> None:
    assert vin.well_formed(number)
    assert vin.check_digit(number) == slow_check_digit(number)
    assert vin.check_digit_right(number) == (number[8] == slow_check_digit(number))


@given(st.text(ALPHABET, min_size=17, max_size=17), st.integers(0, 16), st.sampled_from(ALPHABET))
def test_a_single_wrong_character_is_found_unless_it_counts_the_same(number: str, at: int, other: str) -> None:
    right = number[:8] + vin.check_digit(number) + number[9:]
    wrong = right[:at] + other + right[at + 1 :]
    same_value = at != 8 and slow_check_digit(wrong) == slow_check_digit(right)
    assert vin.check_digit_right(wrong) == (wrong == right or same_value)


@given(st.text(max_size=20))
def test_any_text_is_either_a_vin_or_malformed(text: str) -> None:
    number = vin.normalised(text)
    expected = len(number) == 17 and set(number) <= set(ALPHABET)
    assert vin.well_formed(number) == expected
    assert vin.normalised(number) == number


@pytest.mark.parametrize("number", ["1M8GDM9AXKP042788", "1HGCM82633A004352", "11111111111111111"])
def test_known_vins_are_right(number: str) -> None:
    assert vin.check_digit_right(number)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (" 1hgcm82633a004352\n", "1HGCM82633A004352"),
        ("1HGCM-82633-A004352", "1HGCM82633A004352"),
        ("1HGCM 82633A 004352", "1HGCM82633A004352"),
    ],
)
def test_blanks_hyphens_and_lower_case_are_put_right(text: str, number: str) -> None:
    assert vin.normalised(text) == number
    assert vin.well_formed(vin.normalised(text))


@pytest.mark.parametrize("number", ["", "1HGCM82633A00435", "1HGCM82633A0043522", "IHGCM82633A004352"])
def test_other_lengths_and_letters_that_no_vin_has_are_malformed(number: str) -> None:
    assert not vin.well_formed(number)
