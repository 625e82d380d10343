"""Signed notes and checkpoints: published examples, and everything that must be refused."""

from base64 import b64decode, b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lotpro_audit.tree import domain, notes
from lotpro_audit.tree.notes import ORIGIN, Checkpoint, NoteRefused, SigningKey, VerifierKey

#: The example of C2SP's signed-note.
C2SP_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
C2SP_NOTE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
#: What Go's sumdb/note is tested with: a key's seed (the last 32 bytes of its private key), two keys, two signatures.
PETERS_SEED = "gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM="
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
BY_PETER = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
BY_ENOCH = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)

SEED = b64encode(bytes(range(32))).decode()
KEY = SigningKey(SEED)
ROOT = domain.leaf_hash(b"a leaf")
CHECKPOINT = Checkpoint(ORIGIN, 20_852_163, ROOT)
NOTE = KEY.sign(CHECKPOINT)


def test_the_example_of_c2sp_opens() -> None:
    assert notes.open_text(C2SP_NOTE, VerifierKey.read(C2SP_KEY)) == "This is an example message.\n"


def test_a_published_key_makes_the_published_signature() -> None:
    key = SigningKey(PETERS_SEED, name="PeterNeumann")
    assert key.verifier.spelled() == PETER
    assert key.sign_text(TEXT) == f"{TEXT}\n{BY_PETER}"


@pytest.mark.parametrize("signatures", [BY_PETER, BY_PETER + BY_ENOCH, BY_ENOCH + BY_PETER, BY_PETER * 2])
def test_signatures_of_unknown_keys_are_ignored(signatures: str) -> None:
    assert notes.open_text(f"{TEXT}\n{signatures}", VerifierKey.read(PETER)) == TEXT


@pytest.mark.parametrize(
    ("signatures", "reason"),
    [
        (BY_ENOCH, "is not signed by this key"),
        (BY_PETER.replace("PeterNeumann", "CarmenSandiego"), "is not signed by this key"),
        (BY_PETER.replace(" x08g", " x08h"), "is not signed by this key"),
        (BY_PETER.replace("ZJku", "ZJkv"), "signature is wrong"),
        (BY_PETER + BY_PETER.replace("ZJku", "ZJkv"), "signature is wrong"),
        (BY_PETER.replace("nAM=", "nAMA"), "signature is wrong"),
        (BY_PETER.replace("nAM=", "nAN="), "base64 is wrong"),
        (BY_PETER.replace("nAM=", "nAM"), "base64 is wrong"),
        (BY_PETER * 101, "lines with signatures"),
        (BY_PETER.removesuffix("\n"), "lines with signatures"),
        ("", "lines with signatures"),
        (BY_PETER + "Unexpected line.\n", "malformed"),
        (BY_PETER.replace("— ", "- "), "malformed"),
        (BY_PETER + "— Bad Name AAAAAAAA\n", "malformed"),
        (BY_PETER + "— Bad+Name AAAAAAAA\n", "malformed"),
        (BY_PETER + "— Enoch AAAA\n", "malformed"),
        (BY_PETER.replace("\n", "\r\n"), "characters"),
        (BY_PETER.replace("\n", "\t\n"), "characters"),
        (BY_PETER + "— \ud800 AAAAAAAA\n", "characters"),
    ],
)
def test_a_note_without_a_right_signature_is_refused(signatures: str, reason: str) -> None:
    with pytest.raises(NoteRefused, match=reason):
        notes.open_text(f"{TEXT}\n{signatures}", VerifierKey.read(PETER))


@pytest.mark.parametrize("note", ["", "\n", TEXT, TEXT + "\n", TEXT + BY_PETER, TEXT.strip() + "\n" + BY_PETER])
def test_what_is_no_note_is_refused(note: str) -> None:
    with pytest.raises(NoteRefused, match="a note is a text"):
        notes.open_text(note, VerifierKey.read(PETER))


def test_a_text_may_have_empty_lines() -> None:
    text = "Ognuno sta solo sul cuor della terra\n\ned è subito sera.\n\n"
    assert notes.open_text(KEY.sign_text(text), KEY.verifier) == text


def test_every_changed_character_of_a_verifier_key_is_refused() -> None:
    assert VerifierKey.read(PETER).spelled() == PETER
    for at, character in enumerate(PETER):
        with pytest.raises(NoteRefused):
            VerifierKey.read(PETER[:at] + chr(ord(character) + 1) + PETER[at + 1 :])
    for begin in range(len(PETER)):
        for end in range(begin, len(PETER) + 1):
            if (begin, end) != (0, len(PETER)):
                with pytest.raises(NoteRefused):
                    VerifierKey.read(PETER[begin:end])


@pytest.mark.parametrize(
    ("spelled", "reason"),
    [
        # The id fits what follows, but that is no key, or none of Ed25519.
        ("PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==", "base64 is wrong"),
        ("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "not of Ed25519"),
        ("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10Q=", "32 bytes"),
        ("Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "spaces"),
        ("PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "id is not"),
        (PETER + "\n", "base64 is wrong"),
    ],
)
def test_what_is_no_verifier_key_is_refused(spelled: str, reason: str) -> None:
    with pytest.raises(NoteRefused, match=reason):
        VerifierKey.read(spelled)


@pytest.mark.parametrize("seed", ["", "AAAA", SEED.rstrip("="), SEED + "\n", b64encode(bytes(33)).decode(), "é"])
def test_what_is_no_seed_is_refused(seed: str) -> None:
    with pytest.raises(NoteRefused):
        SigningKey(seed)


def test_a_signing_key_never_shows_its_seed() -> None:
    assert b64decode(SEED).hex() not in repr(KEY)
    assert SEED not in repr(KEY)
    assert SEED not in repr(vars(KEY))


def test_a_checkpoint_is_written_as_c2sp_says() -> None:
    assert CHECKPOINT.text() == f"lotpro.space/audit\n20852163\n{b64encode(ROOT).decode()}\n"
    assert NOTE.startswith(CHECKPOINT.text() + "\n— lotpro.space/audit ")
    assert notes.open(NOTE, KEY.verifier) == CHECKPOINT


@settings(max_examples=100, deadline=None)
@given(size=st.integers(1, 2**63 - 1), root=st.binary(min_size=32, max_size=32))
def test_a_checkpoint_comes_back_as_it_was_signed(size: int, root: bytes) -> None:
    checkpoint = Checkpoint(ORIGIN, size, root)
    assert notes.open(KEY.sign(checkpoint), KEY.verifier) == checkpoint


def test_an_empty_log_has_a_checkpoint() -> None:
    checkpoint = Checkpoint(ORIGIN, 0, domain.EMPTY_ROOT)
    assert notes.open(KEY.sign(checkpoint), KEY.verifier) == checkpoint
    with pytest.raises(NoteRefused, match="empty tree"):
        Checkpoint.read(Checkpoint(ORIGIN, 0, ROOT).text())


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("20852163", "020852163", "no number"),
        ("20852163", "-1", "no number"),
        ("20852163", "+1", "no number"),
        ("20852163", "1_0", "no number"),
        ("20852163", " 1", "no number"),
        ("20852163", "", "no number"),
        ("20852163", "٣", "no number"),
        ("20852163", "9" * 20, "no number"),
        (b64encode(ROOT).decode(), b64encode(ROOT[:-1]).decode(), "no hash"),
        (b64encode(ROOT).decode(), b64encode(ROOT + b"a").decode(), "no hash"),
        (b64encode(ROOT).decode(), b64encode(ROOT).decode().rstrip("="), "base64"),
        (b64encode(ROOT).decode(), ROOT.hex(), "base64|no hash"),
        (b64encode(ROOT).decode() + "\n", b64encode(ROOT).decode(), "three lines"),
        (b64encode(ROOT).decode() + "\n", b64encode(ROOT).decode() + "\nmore\n", "three lines"),
        (b64encode(ROOT).decode() + "\n", b64encode(ROOT).decode() + "\n\n", "three lines"),
        ("lotpro.space/audit\n", "\n", "does not name"),
        ("lotpro.space/audit\n", "", "three lines"),
    ],
)
def test_a_malformed_checkpoint_is_refused_though_it_is_signed(old: str, new: str, reason: str) -> None:
    text = CHECKPOINT.text()
    assert old in text
    with pytest.raises(NoteRefused, match=reason):
        Checkpoint.read(text.replace(old, new))
    if text.replace(old, new).endswith("\n"):
        with pytest.raises(NoteRefused):
            notes.open(KEY.sign_text(text.replace(old, new)), KEY.verifier)


def test_another_logs_checkpoint_is_refused() -> None:
    other = Checkpoint("lotpro.space/other", 1, ROOT)
    with pytest.raises(NoteRefused, match="another log"):
        KEY.sign(other)
    with pytest.raises(NoteRefused, match="another log"):
        notes.open(KEY.sign_text(other.text()), KEY.verifier)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_changed_bit_of_a_signed_checkpoint_gets_through(data: st.DataObject) -> None:
    raw = bytearray(NOTE.encode())
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(NoteRefused):
        notes.open(raw.decode(errors="surrogateescape"), KEY.verifier)
