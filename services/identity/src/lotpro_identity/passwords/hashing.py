"""Hashing passwords: Argon2id in a bounded pool, so that sign-ins cannot take all memory or block the event loop."""

import asyncio
import base64
import hmac
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from typing import TypeVar

from argon2 import Parameters, PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from lotpro_identity.accounts.domain import normalised_password
from lotpro_identity.passwords.argon2id import Argon2id
from lotpro_kit import errors

#: The hashes' memory is given back when nobody has signed in for so long.
MEMORY_KEPT_SECONDS = 10.0

#: 19 MiB, t=2, p=1 (OWASP ASVS 5.0, 11.4.2).
TODAYS = Parameters(
    type=Type.ID, version=ARGON2_VERSION, salt_len=16, hash_len=32, time_cost=2, memory_cost=19_456, parallelism=1
)

Answer = TypeVar("Answer")


class Busy(errors.RateLimited):
    """More people sign in at this moment than can be checked."""

    code = "identity.busy"
    message = "Many people are signing in right now. Try again in a moment."


class Passwords:
    """Argon2id of TODAYS parameters over the HMAC of the password under the pepper."""

    def __init__(self, pepper: Callable[[], str], *, threads: int, queue: int) -> None:
        self._source, self._threads, self._queue = pepper, threads, queue
        self._todays = Argon2id(TODAYS)
        #: For hashes of other parameters.
        self._hasher = PasswordHasher.from_parameters(TODAYS)
        self._waiting = self._inside = 0
        self._release: asyncio.TimerHandle | None = None

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads, thread_name_prefix="argon2")

    @cached_property
    def _pepper(self) -> bytes:
        return base64.b64decode(self._source())

    @cached_property
    def dummy(self) -> str:
        """A hash no password has: checked for unknown accounts, so that they take as long as known ones.

        It is made up and not computed: the first unknown account would take twice as long.
        """
        return self._todays.spell(secrets.token_bytes(TODAYS.salt_len), secrets.token_bytes(TODAYS.hash_len))

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Around all that is done for somebody who signs in: as many are inside as may wait for a hash.

        Who comes when it is full is turned away before anything was done for them; raises Busy.
        """
        if self._inside >= self._queue:
            raise Busy
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    async def hash(self, password: str) -> str:
        """A new hash; raises Busy."""
        return await self._in_pool(lambda: self._todays.hash(self._mixed(password).encode()))

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether a password has this hash; without a hash it is as slow and False. Raises Busy."""
        return await self._in_pool(lambda: self._matches(password, hashed))

    def is_outdated(self, hashed: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(hashed)

    def _matches(self, password: str, hashed: str | None) -> bool:
        stored, secret = hashed or self.dummy, self._mixed(password)
        try:
            if self.is_outdated(stored):
                return self._hasher.verify(stored, secret)
            return self._todays.verify(stored, secret.encode()) and hashed is not None
        except (VerificationError, InvalidHashError):
            return False

    def _mixed(self, password: str) -> str:
        return hmac.digest(self._pepper, normalised_password(password).encode(), "sha256").hex()

    async def _in_pool(self, work: Callable[[], Answer]) -> Answer:
        if self._waiting >= self._queue:
            raise Busy
        self._waiting += 1
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1
            self._release_later(loop)

    def _release_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._release is not None:
            self._release.cancel()
        self._release = loop.call_later(MEMORY_KEPT_SECONDS, self._todays.release)
