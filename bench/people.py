"""Accounts for benchmarks, put into identity's database as identity would: one password, an authenticator each."""

import time
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import pyotp

from bench.stack import Stack
from lotpro_identity.factors import domain as factors
from lotpro_identity.factors.service import SECRET
from lotpro_identity.passwords.hashing import Passwords
from lotpro_kit import ids
from lotpro_kit.crypto import Keyring, SubjectKey

PASSWORD = "seven-quiet-lots-at-dawn"


@dataclass(slots=True)
class Somebody:
    """An account and its authenticator."""

    account_id: UUID
    email: str
    seed: str

    def totp(self) -> str:
        """The code shown now."""
        return pyotp.TOTP(self.seed).at(int(time.time()))


async def add(stack: Stack, count: int) -> list[Somebody]:
    """Accounts with a confirmed address and authenticator, all owners of one organisation."""
    keys = stack.running.keys
    keyring = Keyring(keys["identity-data-key-encryption-key"])
    passwords = Passwords(lambda: keys["identity-pepper"], threads=1, queue=1)
    hashed = await passwords.hash(PASSWORD)
    connection = await stack.connect("identity")
    org_id = ids.new()
    await connection.execute("INSERT INTO organisations (id, name) VALUES ($1, 'Prairie Motor Group')", org_id)
    people = [await _add_one(connection, keyring, org_id, hashed) for _ in range(count)]
    await connection.close()
    return people


async def _add_one(connection: asyncpg.Connection, keyring: Keyring, org_id: UUID, hashed: str) -> Somebody:
    account_id, seed = ids.new(), factors.new_seed()
    somebody = Somebody(account_id, f"bench-{account_id.hex}@prairie-motors.com", seed)
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO accounts (id, email, name, password_hash, email_confirmed_at)"
            " VALUES ($1, $2, 'Dana Whitfield', $3, now())",
            account_id, somebody.email, hashed,
        )
        key = await _key_of(connection, keyring, account_id)
        await connection.execute(
            "INSERT INTO factors (id, account_id, kind, name, secret, confirmed_at)"
            " VALUES ($1, $2, 'totp', 'App', $3, now())",
            ids.new(), account_id, key.encrypt(seed, context=SECRET),
        )
        await connection.execute(
            "INSERT INTO memberships (id, account_id, org_id, role) VALUES ($1, $2, $3, 'org_owner')",
            ids.new(), account_id, org_id,
        )
    return somebody


async def _key_of(connection: asyncpg.Connection, keyring: Keyring, account_id: UUID) -> SubjectKey:
    fresh, wrapped = keyring.new_key(account_id)
    await connection.execute("INSERT INTO data_keys (subject_id, wrapped_key) VALUES ($1, $2)", account_id, wrapped)
    return fresh
