"""Signed notes and checkpoints of the log (C2SP signed-note, tlog-checkpoint), signed with Ed25519; pure."""

import re
from base64 import b64encode
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from lotpro_audit.tree import domain

#: The log's name: the first line of its checkpoints, and the name of its key.
ORIGIN: Final = "lotpro.space/audit"

_ED25519 = b"\x01"
_ID_BYTES, _KEY_BYTES, _SIGNATURE_BYTES = 4, 32, 64
#: A note may carry signatures of others (C2SP: at least 16 must be taken); more than this is an attack.
_MAX_SIGNATURES = 100
#: What a bigint holds, without leading zeros.
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")


class NoteRefused(ValueError):
    """A note, checkpoint or key is malformed, or the signature is not there or not right; says which."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log's tree was at a size."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The lines that are signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def read(cls, text: str) -> "Checkpoint":
        """What `text` wrote, and nothing else; raises NoteRefused.

        C2SP allows further lines that nobody can audit. The log never writes them, and so they are refused.
        """
        lines = text.split("\n")
        if len(lines) != 4 or lines[3]:
            raise NoteRefused("a checkpoint has three lines")
        origin, size, root = lines[:3]
        if not origin:
            raise NoteRefused("the checkpoint does not name its log")
        if not _SIZE.fullmatch(size):
            raise NoteRefused("the checkpoint's size is no number")
        found = cls(origin, int(size), unbase64(root))
        if len(found.root) != domain.HASH_BYTES:
            raise NoteRefused("the checkpoint's root is no hash")
        if found.size == 0 and found.root != domain.EMPTY_ROOT:
            raise NoteRefused("the checkpoint's root is not that of an empty tree")
        return found


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name; raises NoteRefused for a name or key that C2SP does not allow."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[^\s+]+", self.name) or _CONTROL.search(self.name):
            raise NoteRefused("a key's name has no spaces and no plus")
        if len(self.public) != _KEY_BYTES:
            raise NoteRefused("a public key has 32 bytes")

    @property
    def id(self) -> bytes:
        """The four bytes that signatures name the key by."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_ID_BYTES]

    def spelled(self) -> str:
        """The verifier key as C2SP spells it: `name+id+key`."""
        return f"{self.name}+{self.id.hex()}+{b64encode(_ED25519 + self.public).decode()}"

    @classmethod
    def read(cls, spelled: str) -> "VerifierKey":
        """What `spelled` wrote; raises NoteRefused."""
        # The key itself may have a plus: it is base64.
        name, *rest = spelled.split("+", 2)
        if len(rest) != 2:
            raise NoteRefused("a verifier key is spelled name+id+key")
        key = unbase64(rest[1])
        if key[:1] != _ED25519:
            raise NoteRefused("the verifier key is not of Ed25519")
        found = cls(name, key[1:])
        if found.spelled() != spelled:
            raise NoteRefused("the verifier key's id is not the one of its name and key")
        return found

    def holds(self, signature: bytes, text: str) -> bool:
        """Whether this key signed the text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """The log's private key."""

    def __init__(self, seed: str, *, name: str = ORIGIN) -> None:
        """`seed`: 32 bytes, base64; raises NoteRefused."""
        opened = unbase64(seed)
        if len(opened) != _KEY_BYTES:
            raise NoteRefused("a signing key has 32 bytes")
        self._private = Ed25519PrivateKey.from_private_bytes(opened)
        #: The public half.
        self.verifier = VerifierKey(name, self._private.public_key().public_bytes_raw())

    def sign(self, checkpoint: Checkpoint) -> str:
        """The signed note of a checkpoint; raises NoteRefused when it is another log's."""
        if checkpoint.origin != self.verifier.name:
            raise NoteRefused("the checkpoint is another log's")
        return self.sign_text(checkpoint.text())

    def sign_text(self, text: str) -> str:
        """The signed note of any text that ends with a newline."""
        signature = b64encode(self.verifier.id + self._private.sign(text.encode())).decode()
        return f"{text}\n— {self.verifier.name} {signature}\n"


def size_of(note: str) -> int:
    """The size that a checkpoint's note names, whoever signed it; raises NoteRefused."""
    try:
        return int(note.split("\n", 2)[1])
    except (IndexError, ValueError) as error:
        raise NoteRefused("this is no checkpoint") from error


def open(note: str, key: VerifierKey) -> Checkpoint:
    """The checkpoint in a note that the key signed; raises NoteRefused."""
    found = Checkpoint.read(open_text(note, key))
    if found.origin != key.name:
        raise NoteRefused("the checkpoint is another log's")
    return found


def open_text(note: str, key: VerifierKey) -> str:
    """The text of a note that the key signed; raises NoteRefused.

    Signatures of other keys are ignored, as C2SP demands; one by this key that is wrong spoils the note even beside a
    right one.
    """
    if _CONTROL.search(note) or not _is_utf8(note):
        raise NoteRefused("the note has characters that no note has")
    body, blank, signatures = note.rpartition("\n\n")
    lines = signatures.split("\n")
    if not blank or lines.pop() or not 1 <= len(lines) <= _MAX_SIGNATURES:
        raise NoteRefused("a note is a text, an empty line and lines with signatures")
    text, signed = body + "\n", False
    for line in lines:
        name, signature = _signature(line)
        if (name, signature[:_ID_BYTES]) == (key.name, key.id):
            if not key.holds(signature[_ID_BYTES:], text):
                raise NoteRefused("the note's signature is wrong")
            signed = True
    if not signed:
        raise NoteRefused("the note is not signed by this key")
    return text


def _signature(line: str) -> tuple[str, bytes]:
    """A signature line's key name, and the key id followed by the signature."""
    match = _SIGNATURE_LINE.fullmatch(line)
    if match is None:
        raise NoteRefused("a line with a signature is malformed")
    signature = unbase64(match[2])
    if len(signature) <= _ID_BYTES:
        raise NoteRefused("a line with a signature is malformed")
    return match[1], signature


def _is_utf8(text: str) -> bool:
    """Whether a text can be written: JSON can spell halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def unbase64(spelled: str) -> bytes:
    """Bytes by their one spelling in base64 (RFC 4648, 4); raises NoteRefused for any other."""
    try:
        found = a2b_base64(spelled, strict_mode=True)
    except ValueError as error:
        raise NoteRefused("the base64 is wrong") from error
    if b2a_base64(found, newline=False).decode() != spelled:
        raise NoteRefused("the base64 is wrong")
    return found
