"""Passkeys (WebAuthn level 3): registering one, and proving to have one. The person must be verified by the device."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select, update
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from lotpro_identity.accounts.domain import Account
from lotpro_identity.factors.domain import Kind, PasskeyInvalid
from lotpro_identity.factors.models import CEREMONIES, FACTORS, IN_USE
from lotpro_identity.factors.service import touch
from lotpro_identity.ports import Ports
from lotpro_kit import ids
from lotpro_kit.db import Session

CEREMONY_LIFETIME = timedelta(minutes=5)
ALGORITHMS = [COSEAlgorithmIdentifier.ECDSA_SHA_256, COSEAlgorithmIdentifier.EDDSA]
REGISTER, PROVE = "register", "prove"
#: What a hostile credential makes the library raise besides its own errors.
_MALFORMED = (WebAuthnException, ValueError, KeyError, TypeError, AttributeError, IndexError)


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What the browser is asked; `options` as `navigator.credentials` takes them (JSON, base64url)."""

    id: UUID
    options: dict[str, Any]


async def begin_registration(session: Session, ports: Ports, *, account: Account) -> Ceremony:
    """Ask for a new discoverable passkey; those the person has are not asked for again."""
    held = await session.execute(
        select(FACTORS.c.credential_id).where(
            FACTORS.c.account_id == account.id, FACTORS.c.credential_id.is_not(None)
        )
    )
    options = generate_registration_options(
        rp_id=ports.relying_party.id, rp_name="lotPro", user_id=account.id.bytes, user_name=account.email,
        user_display_name=account.name,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=credential_id) for credential_id in held.scalars()],
        supported_pub_key_algs=ALGORITHMS,
    )
    return await _open(session, ports, REGISTER, options.challenge, options_to_json(options), account_id=account.id)


async def finish_registration(
    session: Session, ports: Ports, *, account_id: UUID, ceremony_id: UUID, credential: dict[str, Any], name: str
) -> UUID:
    """The new passkey, not confirmed yet, from the browser's answer; raises PasskeyInvalid."""
    challenge = await _close(session, ports, REGISTER, ceremony_id, account_id=account_id)
    try:
        verified = verify_registration_response(
            credential=credential, expected_challenge=challenge, expected_rp_id=ports.relying_party.id,
            expected_origin=list(ports.relying_party.origins), require_user_verification=True,
            supported_pub_key_algs=ALGORITHMS,
        )
    except _MALFORMED as error:
        raise PasskeyInvalid from error
    known = await session.execute(select(FACTORS.c.id).where(FACTORS.c.credential_id == verified.credential_id))
    if known.one_or_none() is not None:
        raise PasskeyInvalid
    factor_id = ids.new()
    await session.execute(
        insert(FACTORS).values(
            id=factor_id, account_id=account_id, kind=Kind.PASSKEY, name=name, credential_id=verified.credential_id,
            public_key=verified.credential_public_key, sign_count=verified.sign_count,
            backed_up=verified.credential_backed_up, backup_eligible=_may_be_copied(verified), created_at=ports.clock(),
        )
    )
    return factor_id


async def begin_proof(session: Session, ports: Ports, *, account_id: UUID | None) -> Ceremony:
    """Ask for any passkey of this domain; of this person when they are known already."""
    options = generate_authentication_options(
        rp_id=ports.relying_party.id, user_verification=UserVerificationRequirement.REQUIRED
    )
    return await _open(session, ports, PROVE, options.challenge, options_to_json(options), account_id=account_id)


async def finish_proof(
    session: Session, ports: Ports, *, ceremony_id: UUID, credential: dict[str, Any], account_id: UUID | None
) -> UUID | None:
    """Whose passkey answered, or None for an answer that is not right; commit either way, the ceremony is used up.

    A signature counter that went back is a copied authenticator, and not right (WebAuthn 7.2, step 22); nor is a key
    that could not be copied and now says it can be, or the other way round (step 19).
    """
    try:
        challenge = await _close(session, ports, PROVE, ceremony_id, account_id=account_id)
        credential_id = base64url_to_bytes(str(credential["rawId"]))
    except (PasskeyInvalid, *_MALFORMED):
        return None
    found = await session.execute(
        select(FACTORS)
        .where(FACTORS.c.credential_id == credential_id, *IN_USE)
        .with_for_update()
    )
    row = found.one_or_none()
    if row is None or (account_id is not None and row.account_id != account_id):
        return None
    try:
        verified = verify_authentication_response(
            credential=credential, expected_challenge=challenge, expected_rp_id=ports.relying_party.id,
            expected_origin=list(ports.relying_party.origins), credential_public_key=row.public_key,
            credential_current_sign_count=row.sign_count, require_user_verification=True,
        )
    except _MALFORMED:
        return None
    changed = row.backup_eligible is not None and row.backup_eligible != _may_be_copied(verified)
    if changed or not _is_owner(credential, row.account_id):
        return None
    await session.execute(
        update(FACTORS)
        .where(FACTORS.c.id == row.id)
        .values(sign_count=verified.new_sign_count, backed_up=verified.credential_backed_up)
    )
    await touch(session, row.id, now=ports.clock())
    owner: UUID = row.account_id
    return owner


async def forget(session: Session, *, before: datetime) -> int:
    """Drop ceremonies that ended before a moment; answers how many."""
    dropped = await session.execute(delete(CEREMONIES).where(CEREMONIES.c.expires_at < before))
    return int(getattr(dropped, "rowcount", 0))


def _may_be_copied(verified: VerifiedRegistration | VerifiedAuthentication) -> bool:
    """The flag "backup eligible": the key may be on several devices; it is so from the beginning, or never."""
    return verified.credential_device_type is CredentialDeviceType.MULTI_DEVICE


def _is_owner(credential: dict[str, Any], account_id: UUID) -> bool:
    """The user handle, where the authenticator says one, must be the person whose key it is."""
    response = credential.get("response")
    handle = response.get("userHandle") if isinstance(response, dict) else None
    return handle is None or base64url_to_bytes(str(handle)) == account_id.bytes


async def _open(
    session: Session, ports: Ports, kind: str, challenge: bytes, options: str, *, account_id: UUID | None
) -> Ceremony:
    ceremony_id = ids.new()
    await session.execute(
        insert(CEREMONIES).values(
            id=ceremony_id, account_id=account_id, kind=kind, challenge=challenge,
            expires_at=ports.clock() + CEREMONY_LIFETIME,
        )
    )
    return Ceremony(ceremony_id, json.loads(options))


async def _close(
    session: Session, ports: Ports, kind: str, ceremony_id: UUID, *, account_id: UUID | None
) -> bytes:
    """The challenge of a ceremony under way, which ends; raises PasskeyInvalid."""
    whose = CEREMONIES.c.account_id.is_(None) if account_id is None else CEREMONIES.c.account_id == account_id
    ended = await session.execute(
        delete(CEREMONIES)
        .where(
            CEREMONIES.c.id == ceremony_id, CEREMONIES.c.kind == kind, CEREMONIES.c.expires_at > ports.clock(), whose
        )
        .returning(CEREMONIES.c.challenge)
    )
    challenge: bytes | None = ended.scalar_one_or_none()
    if challenge is None:
        raise PasskeyInvalid
    return challenge
