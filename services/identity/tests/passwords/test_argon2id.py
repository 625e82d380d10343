"""Argon2id in kept memory: the same answers as the library's own, nothing left behind, given back when asked."""

import mmap
import resource
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError

from lotpro_identity.passwords.argon2id import Argon2id

HASHER = PasswordHasher(time_cost=2, memory_cost=4_096, parallelism=1)
HASHED = HASHER.hash("seven-quiet-lots")


def verifier() -> Argon2id:
    return Argon2id(extract_parameters(HASHED))


def faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def resident() -> int:
    """Bytes of this process that are in memory."""
    return psutil.Process().memory_info().rss


@pytest.mark.parametrize("secret", ["seven-quiet-lots", "", "sieben stille Höfe", "x" * 1000])
def test_it_knows_the_hashes_that_the_library_makes(secret: str) -> None:
    assert verifier().verify(HASHER.hash(secret), secret.encode())


@pytest.mark.parametrize("secret", ["seven-quiet-lots", "", "sieben stille Höfe", "x" * 1000])
def test_the_library_knows_the_hashes_that_it_makes(secret: str) -> None:
    maker = verifier()
    made = [maker.hash(secret.encode()) for _ in range(3)]
    assert len(set(made)) == 3, "each has a salt of its own"
    for hashed in made:
        assert extract_parameters(hashed) == extract_parameters(HASHED)
        assert HASHER.verify(hashed, secret)


@pytest.mark.parametrize("secret", ["seven-quiet-lot", "seven-quiet-lots ", ""])
def test_it_refuses_another_secret(secret: str) -> None:
    assert not verifier().verify(HASHED, secret.encode())


@pytest.mark.parametrize(
    "hashed",
    [
        "", "nothing", HASHED[:-1], HASHED[:-2] + "!!", HASHED.replace("$argon2id$", "$argon2i$"),
        HASHED.replace("t=2", "t=1"), HASHED.replace("m=4096", "m=65536"), HASHED.replace("v=19", "v=16"),
    ],
    ids=["empty", "no hash", "too short", "not base64", "type", "passes", "memory", "version"],
)
def test_what_is_no_hash_of_these_parameters_is_not_computed(hashed: str) -> None:
    with pytest.raises(InvalidHashError):
        verifier().verify(hashed, b"seven-quiet-lots")


def test_many_threads_do_not_share_memory() -> None:
    shared = verifier()
    right, wrong = HASHER.hash("a"), HASHER.hash("b")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda hashed: shared.verify(hashed, b"a"), [right, wrong] * 40))
    assert answers == [True, False] * 40


def test_the_next_hash_takes_no_new_memory() -> None:
    kept = verifier()
    kept.verify(HASHED, b"seven-quiet-lots")
    before = faults()
    kept.verify(HASHED, b"seven-quiet-lots")
    assert faults() - before < 4_096 // 4 / 10


def test_released_memory_is_given_back() -> None:
    kept = verifier()
    kept.verify(HASHED, b"seven-quiet-lots")
    before = resident()
    kept.release()
    assert before - resident() >= 4_096 * 1024
    assert kept.verify(HASHED, b"seven-quiet-lots")


def test_nothing_of_a_hash_is_left_in_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: list[memoryview] = []
    map_memory = mmap.mmap

    def seen(number: int, size: int, flags: int) -> mmap.mmap:
        made = map_memory(number, size, flags)
        blocks.append(memoryview(made))
        return made

    monkeypatch.setattr(mmap, "mmap", seen)
    assert verifier().verify(HASHED, b"seven-quiet-lots")
    (block,) = blocks
    assert len(block) == 4_096 * 1024
    assert not any(block.tobytes())
