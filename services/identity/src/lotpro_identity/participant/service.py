"""What identity holds about a person, as records."""

import base64
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.domain import EmailInvalid, normalised_email
from lotpro_identity.devices import service as devices
from lotpro_identity.factors import service as factors
from lotpro_identity.federation import service as federation
from lotpro_identity.organisations import service as organisations
from lotpro_identity.pictures import service as pictures
from lotpro_identity.pictures.domain import TYPE
from lotpro_identity.ports import Ports
from lotpro_identity.provisioning import service as provisioning
from lotpro_identity.sessions import service as sessions
from lotpro_kit import ids
from lotpro_kit.db import Session

TABLES = (
    "accounts", "picture_blobs", "memberships", "invitations", "sessions", "devices", "factors", "scim_users",
    "federated_identities",
)


@dataclass(frozen=True, slots=True)
class PersonalRecord:
    """A row about a person, its columns as text."""

    table: str
    id: str
    fields: dict[str, Any] = field(default_factory=dict)


async def records_of(
    session: Session, ports: Ports, *, org_id: UUID, user_id: UUID | None, email: str
) -> list[PersonalRecord]:
    """A member's records by account id, or those of whoever has the address, within one organisation only."""
    address = _address(email)
    members = await organisations.members_of(session, org_id)
    people = await accounts.find_many(session, {row.account_id for row in members})
    mine = {a.id: a for a in people.values() if a.id == user_id or (address and a.email == address)}
    found: list[PersonalRecord] = []
    for account_id, account in mine.items():
        address = address or account.email
        details = await accounts.details_of(session, ports, account)
        fields = {
            "name": account.name, "email": account.email, "locale": account.locale,
            "time_zone": account.time_zone or "", "phone": details.phone or "", "job_title": details.job_title or "",
            "department": details.department or "", "position": details.position or "",
            "created_at": account.created_at.isoformat(),
        }
        found.append(PersonalRecord("accounts", str(account_id), fields))
        shown = await pictures.shown_of(session, ports, account)
        if shown is not None:
            picture = base64.b64encode(await pictures.content_of(ports, shown)).decode()
            content = {"content_type": TYPE, "content_base64": picture}
            found.append(PersonalRecord("picture_blobs", str(shown.blob_id), content))
        for row, user_agent, ip in await sessions.list_own(session, ports, account_id=account_id):
            used = {"user_agent": user_agent, "ip": ip, "last_used_at": row.last_used_at.isoformat()}
            found.append(PersonalRecord("sessions", str(row.id), used))
        found += await _security_records(session, ports, account_id)
        found += [
            PersonalRecord(
                "scim_users", str(row.id),
                {
                    "user_name": row.user_name, "email": row.email, "external_id": row.external_id or "",
                    "given_name": row.given_name or "", "family_name": row.family_name or "",
                    "formatted_name": row.formatted_name or "",
                },
            )
            for row in await provisioning.records_of(session, account_id) if row.org_id == org_id
        ]
        found += [
            PersonalRecord(
                "federated_identities", str(row.id),
                {"issuer": row.issuer, "subject": row.subject, "last_used_at": row.last_used_at.isoformat()},
            )
            for row in await federation.identities_of(session, account_id) if row.org_id == org_id
        ]
    found += [
        PersonalRecord("memberships", str(ids.new()), {"role": row.role, "store_id": str(row.store_id or "")})
        for row in members
        if row.account_id in mine
    ]
    invitations = await organisations.invitations_to(session, org_id, address) if address else []
    found += [
        PersonalRecord(
            "invitations", str(row.id),
            {"email": row.email, "role": row.role, "created_at": row.created_at.isoformat()},
        )
        for row in invitations
    ]
    return found


async def _security_records(session: Session, ports: Ports, account_id: UUID) -> list[PersonalRecord]:
    """Trusted devices and factors; what proves them stays here, for it would open the account to any reader."""
    found = [
        PersonalRecord(
            "devices", str(device.id),
            {
                "user_agent": device.user_agent, "ip": device.ip, "created_at": device.created_at.isoformat(),
                "last_used_at": device.last_used_at.isoformat(),
            },
        )
        for device in await devices.list_own(session, ports, account_id=account_id)
    ]
    for row in await factors.confirmed(session, account_id):
        used = {"kind": row.kind, "name": row.name, "confirmed_at": row.confirmed_at.isoformat()}
        used["last_used_at"] = row.last_used_at.isoformat() if row.last_used_at else ""
        used["phone"] = await factors.number_of(session, ports, row)
        found.append(PersonalRecord("factors", str(row.id), used))
    return found


def _address(email: str) -> str:
    try:
        return normalised_email(email) if email else ""
    except EmailInvalid:
        return ""
