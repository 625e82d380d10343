"""Envelope encryption per data subject, blind indexes for look-up, and sealing to audit's key."""

import base64
import hmac
import json
import os
import time
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import ARRAY, Column, DateTime, LargeBinary, MetaData, Table, Uuid, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from lotpro_kit.caller import Origin
from lotpro_kit.db import Session, Statement

NONCE = 12


class Undecryptable(Exception):
    """The ciphertext is damaged, or its subject's key has been destroyed."""


def table(metadata: MetaData) -> Table:
    """Wrapped data keys, one per subject, in a service's metadata. Destroying a row shreds what it encrypted."""
    return Table(
        "data_keys",
        metadata,
        Column("subject_id", Uuid, primary_key=True),
        Column("wrapped_key", LargeBinary, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    )


_DATA_KEYS = table(MetaData())
_MANY_WRAPPED = Statement(
    select(_DATA_KEYS.c.subject_id, _DATA_KEYS.c.wrapped_key).where(
        _DATA_KEYS.c.subject_id == any_(bindparam("subject_ids", type_=ARRAY(Uuid)))
    )
)
_WRAPPED = Statement(select(_DATA_KEYS.c.wrapped_key).where(_DATA_KEYS.c.subject_id == bindparam("subject_id")))


@dataclass(frozen=True, slots=True)
class SubjectKey:
    """A subject's data key, opened. `context` names the column: ciphertexts cannot be swapped between columns."""

    subject_id: UUID
    key: bytes

    def encrypt(self, text: str, *, context: str) -> bytes:
        """Nonce and AES-256-GCM ciphertext of a text."""
        return self.encrypt_bytes(text.encode(), context=context)

    def decrypt(self, ciphertext: bytes, *, context: str) -> str:
        """The text; raises Undecryptable."""
        return self.decrypt_bytes(ciphertext, context=context).decode()

    def encrypt_bytes(self, content: bytes, *, context: str) -> bytes:
        """Nonce and AES-256-GCM ciphertext of what is no text."""
        nonce = os.urandom(NONCE)
        return nonce + AESGCM(self.key).encrypt(nonce, content, self._bind(context))

    def decrypt_bytes(self, ciphertext: bytes, *, context: str) -> bytes:
        """What `encrypt_bytes` encrypted; raises Undecryptable."""
        try:
            return AESGCM(self.key).decrypt(ciphertext[:NONCE], ciphertext[NONCE:], self._bind(context))
        except InvalidTag as error:
            raise Undecryptable from error

    def _bind(self, context: str) -> bytes:
        return self.subject_id.bytes + context.encode()


#: A key never changes: one transaction asks for it once.
_KNOWN_KEYS = "lotpro_kit.crypto"


class Keyring:
    """Data keys of subjects, wrapped by the service's key-encryption key from Key Vault."""

    def __init__(self, key_encryption_key: str) -> None:
        """`key_encryption_key`: 32 bytes, base64."""
        self._wrap = AESGCM(_key(key_encryption_key))

    async def for_subject(self, session: Session, subject_id: UUID) -> SubjectKey:
        """The subject's key, made on first use; two that make it at once end with the same one."""
        wrapped = await self._wrapped(session, subject_id)
        if wrapped is None:
            _, fresh = self.new_key(subject_id)
            await session.execute(
                insert(_DATA_KEYS).values(subject_id=subject_id, wrapped_key=fresh).on_conflict_do_nothing()
            )
            wrapped = await self._wrapped(session, subject_id)
        return self._open(subject_id, wrapped)

    def new_key(self, subject_id: UUID) -> tuple[SubjectKey, bytes]:
        """A new key for a subject, and how it is stored."""
        key, nonce = AESGCM.generate_key(256), os.urandom(NONCE)
        return SubjectKey(subject_id, key), nonce + self._wrap.encrypt(nonce, key, subject_id.bytes)

    def open_key(self, subject_id: UUID, wrapped: bytes) -> SubjectKey:
        """A stored key, opened; raises Undecryptable."""
        return self._open(subject_id, wrapped)

    def know(self, session: Session, subject_id: UUID, wrapped: bytes) -> None:
        """Take note of a subject's stored key, which the transaction has read along with something else."""
        session.info.setdefault(_KNOWN_KEYS, {})[subject_id] = wrapped

    async def existing(self, session: Session, subject_id: UUID) -> SubjectKey:
        """The subject's key; raises Undecryptable when it was destroyed or never made."""
        return self._open(subject_id, await self._wrapped(session, subject_id))

    async def existing_many(self, session: Session, subject_ids: set[UUID]) -> dict[UUID, SubjectKey]:
        """The keys of many subjects in one query; destroyed ones are left out."""
        if not subject_ids:
            return {}
        found = await _MANY_WRAPPED.all(session, subject_ids=list(subject_ids))
        return {row.subject_id: self._open(row.subject_id, row.wrapped_key) for row in found}

    async def destroy(self, session: Session, subject_id: UUID) -> bool:
        """Shred what the subject's key encrypted, in every copy of it; answers whether there was a key."""
        session.info.get(_KNOWN_KEYS, {}).pop(subject_id, None)
        gone = await session.execute(
            _DATA_KEYS.delete().where(_DATA_KEYS.c.subject_id == subject_id).returning(_DATA_KEYS.c.subject_id)
        )
        return gone.scalar_one_or_none() is not None

    def wrap(self, content: bytes, *, context: str) -> bytes:
        """Encrypt short-lived content that belongs to no one subject."""
        nonce = os.urandom(NONCE)
        return nonce + self._wrap.encrypt(nonce, content, context.encode())

    def unwrap(self, content: bytes, *, context: str) -> bytes:
        """What `wrap` encrypted; raises Undecryptable."""
        try:
            return self._wrap.decrypt(content[:NONCE], content[NONCE:], context.encode())
        except InvalidTag as error:
            raise Undecryptable from error

    async def _wrapped(self, session: Session, subject_id: UUID) -> bytes | None:
        known: dict[UUID, bytes] = session.info.setdefault(_KNOWN_KEYS, {})
        if subject_id not in known:
            row = await _WRAPPED.one_or_none(session, subject_id=subject_id)
            if row is None:
                return None
            known[subject_id] = row.wrapped_key
        return known[subject_id]

    def _open(self, subject_id: UUID, wrapped: bytes | None) -> SubjectKey:
        if wrapped is None:
            raise Undecryptable
        try:
            return SubjectKey(subject_id, self._wrap.decrypt(wrapped[:NONCE], wrapped[NONCE:], subject_id.bytes))
        except InvalidTag as error:
            raise Undecryptable from error


class BlindIndex:
    """Keyed digests that find an encrypted value without storing it."""

    def __init__(self, key: str) -> None:
        """`key`: 32 bytes, base64."""
        self._key = _key(key)

    def of(self, value: str, *, context: str) -> bytes:
        """HMAC-SHA256 of the normalised value; `context` keeps columns apart."""
        return hmac.digest(self._key, f"{context}\x00{value.strip().casefold()}".encode(), "sha256")


def _key(encoded: str) -> bytes:
    key = base64.b64decode(encoded)
    if len(key) != 32:
        raise ValueError("a key must be 32 bytes, base64")
    return key


_SEAL_INFO = b"lotpro security event origin v2"
_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
#: A sealed key: HPKE's encapsulation, the key and its tag.
_SEALED_KEY = 32 + 32 + 16
#: How long a process seals under one key, in seconds; that it is the same one says nothing but which process it was.
_SEAL_SECONDS = 600


def seal_origin(origin: Origin, public_key: str) -> bytes:
    """Seal an origin so that only audit can open it. An unknown origin seals to nothing.

    A key that is sealed to audit (HPKE, RFC 9180), a nonce, and what that key encrypts (AES-256-GCM): HPKE alone takes
    174 microseconds an event, this takes 5.
    """
    if not origin.ip and not origin.user_agent:
        return b""
    sealed_key, cipher = _sealing(public_key, int(time.monotonic() // _SEAL_SECONDS))
    body, nonce = json.dumps({"ip": origin.ip, "user_agent": origin.user_agent}).encode(), os.urandom(NONCE)
    return sealed_key + nonce + cipher.encrypt(nonce, body, _SEAL_INFO)


@lru_cache(4)
def _sealing(public_key: str, _period: int) -> tuple[bytes, AESGCM]:
    key = AESGCM.generate_key(256)
    recipient = X25519PublicKey.from_public_bytes(base64.b64decode(public_key))
    return _SUITE.encrypt(key, recipient, _SEAL_INFO), AESGCM(key)


def open_origin(sealed: bytes, private_key: str) -> Origin:
    """Open what `seal_origin` sealed; raises Undecryptable. An empty seal is an unknown origin."""
    if not sealed:
        return Origin()
    nonce, body = sealed[_SEALED_KEY:][:NONCE], sealed[_SEALED_KEY + NONCE :]
    try:
        fields = json.loads(_opening(sealed[:_SEALED_KEY], private_key).decrypt(nonce, body, _SEAL_INFO))
    except (InvalidTag, ValueError) as error:
        raise Undecryptable from error
    return Origin(ip=fields["ip"], user_agent=fields["user_agent"])


@lru_cache(1024)
def _opening(sealed_key: bytes, private_key: str) -> AESGCM:
    recipient = X25519PrivateKey.from_private_bytes(_key(private_key))
    return AESGCM(_SUITE.decrypt(sealed_key, recipient, _SEAL_INFO))


def sealing_public_key(private_key: str) -> str:
    """The public half of a sealing key, base64."""
    public = X25519PrivateKey.from_private_bytes(_key(private_key)).public_key()
    return base64.b64encode(public.public_bytes_raw()).decode()
