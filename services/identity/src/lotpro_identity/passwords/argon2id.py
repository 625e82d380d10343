"""Argon2id in memory that is kept from one hash to the next.

A hash fills 19 MiB. Memory that comes fresh from the system for each one costs half as much again as the hash itself:
every page of it is a fault and has to be zeroed. The library takes its memory from `malloc`, which hands so large a
block back at once or keeps it for good, as its surroundings say; here it is kept while people sign in.
"""

import base64
import binascii
import hmac
import mmap
import secrets
from collections import deque
from contextlib import suppress
from typing import Any

from argon2 import Parameters, extract_parameters
from argon2.exceptions import InvalidHashError
from argon2.low_level import ARGON2_VERSION, core, ffi

#: Of argon2.h.
_DONE, _NO_MEMORY = 0, -22


@ffi.callback("void(uint8_t *, size_t)")  # type: ignore[untyped-decorator] # cffi has no types
def _keep(_: Any, __: int) -> None:
    """What the library calls when it is done with a block, which stays ours."""


class Argon2id:
    """Makes and verifies hashes of one set of parameters; as many at once as there are threads that call it."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._free: deque[_Block] = deque()

    def hash(self, secret: bytes) -> str:
        """A new hash of a secret, under a salt of its own."""
        salt = secrets.token_bytes(self._parameters.salt_len)
        return self.spell(salt, self._digest(secret, salt))

    def spell(self, salt: bytes, digest: bytes) -> str:
        """A hash as it is stored (PHC string format)."""
        made = self._parameters
        costs = f"m={made.memory_cost},t={made.time_cost},p={made.parallelism}"
        return f"$argon2id$v={made.version}${costs}${_encoded(salt)}${_encoded(digest)}"

    def verify(self, hashed: str, secret: bytes) -> bool:
        """Whether it is the secret's hash; raises InvalidHashError for what is no hash of these parameters."""
        salt, expected = self._read(hashed)
        return hmac.compare_digest(self._digest(secret, salt), expected)

    def _digest(self, secret: bytes, salt: bytes) -> bytes:
        try:
            block = self._free.pop()
        except IndexError:
            block = _Block(self._parameters.memory_cost * 1024)
        try:
            return block.digest(self._parameters, secret, salt)
        finally:
            self._free.append(block)

    def release(self) -> None:
        """Give back the memory of all hashes that are not being computed now."""
        self._free.clear()

    def _read(self, hashed: str) -> tuple[bytes, bytes]:
        if extract_parameters(hashed) != self._parameters:
            raise InvalidHashError
        _, salt, expected = hashed.rsplit("$", 2)
        return _decoded(salt), _decoded(expected)


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise InvalidHashError from error


def _memory(size: int) -> mmap.mmap:
    """Memory of this process alone.

    A hash reads all over it: in pages of 2 MiB it waits less for the page table, and takes 5 % less time. The system
    gives such pages to private memory only, and only where they are asked for; one that has none says so, and its small
    ones do.
    """
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with suppress(OSError):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


class _Block:
    """Memory for one hash at a time. The library wipes it after each one, before it is free again."""

    def __init__(self, size: int) -> None:
        content = ffi.from_buffer("uint8_t[]", _memory(size))

        @ffi.callback("int(uint8_t **, size_t)", error=_NO_MEMORY)  # type: ignore[untyped-decorator] # cffi has no types
        def allocate(memory: Any, wanted: int) -> int:
            if wanted > size:
                return _NO_MEMORY
            memory[0] = content
            return _DONE

        self._allocate = allocate

    def digest(self, parameters: Parameters, secret: bytes, salt: bytes) -> bytes:
        """The raw hash."""
        out = ffi.new("uint8_t[]", parameters.hash_len)
        given, salted = ffi.new("uint8_t[]", secret), ffi.new("uint8_t[]", salt)
        context = ffi.new(
            "argon2_context *",
            {
                "out": out, "outlen": parameters.hash_len, "pwd": given, "pwdlen": len(secret),
                "salt": salted, "saltlen": len(salt), "secret": ffi.NULL, "secretlen": 0, "ad": ffi.NULL, "adlen": 0,
                "t_cost": parameters.time_cost, "m_cost": parameters.memory_cost, "lanes": parameters.parallelism,
                "threads": parameters.parallelism, "version": ARGON2_VERSION, "allocate_cbk": self._allocate,
                "free_cbk": _keep, "flags": 0,
            },
        )
        code = core(context, parameters.type.value)
        if code != _DONE:
            raise MemoryError(f"argon2: {code}")
        return bytes(ffi.buffer(out))
