"""Use cases of pictures.

A picture is stored in three steps: its blob is listed, stored, and shown. Whatever dies in between leaves a listed blob
that nobody shows, and that the job `sweep-pictures` removes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.domain import Account
from lotpro_identity.organisations import service as organisations
from lotpro_identity.pictures import repository
from lotpro_identity.pictures.domain import UPLOAD_TIME, blob_name
from lotpro_identity.ports import Ports
from lotpro_kit import errors, ids
from lotpro_kit.caller import Caller
from lotpro_kit.crypto import SubjectKey
from lotpro_kit.db import Session

CONTENT = "pictures.content"


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture that is shown, and the key of the person it shows."""

    blob_id: UUID
    key: SubjectKey


async def prepare(
    session: Session, ports: Ports, *, account_id: UUID, expected: int, picture: bytes
) -> tuple[UUID, bytes]:
    """List a blob to be stored; answers its id and the picture, encrypted under the person's key.

    Raises PreconditionFailed where the account is not in the expected version.
    """
    await _in_version(session, account_id, expected)
    key = await ports.keyring.for_subject(session, account_id)
    blob_id = ids.new()
    await repository.add(session, blob_id, remove_after=ports.clock() + UPLOAD_TIME)
    return blob_id, key.encrypt_bytes(picture, context=CONTENT)


async def store(ports: Ports, *, blob_id: UUID, sealed: bytes) -> None:
    """Store a listed blob; raises Unavailable. Outside of any transaction: nobody waits for the storage."""
    await ports.blobs.put(blob_name(blob_id), sealed, content_type="application/octet-stream")


async def show(
    session: Session, caller: Caller, ports: Ports, *, account_id: UUID, expected: int, blob_id: UUID
) -> Account:
    """Show a stored blob as the account's picture, in place of the one before.

    Raises PreconditionFailed when the profile was changed meanwhile, Unavailable when the upload took too long.
    """
    before = await _in_version(session, account_id, expected)
    if not await repository.keep(session, blob_id):
        raise errors.Unavailable
    account = await accounts.change_profile(
        session, caller, ports, account_id=account_id, expected=expected, values={"picture_id": blob_id}
    )
    await discard(session, before.picture_id, now=ports.clock())
    return account


async def remove(session: Session, caller: Caller, ports: Ports, *, account_id: UUID, expected: int) -> Account:
    """Show no picture any more; raises NotFound without one, and PreconditionFailed."""
    before = await _in_version(session, account_id, expected)
    if before.picture_id is None:
        raise errors.NotFound
    account = await accounts.change_profile(
        session, caller, ports, account_id=account_id, expected=expected, values={"picture_id": None}
    )
    await discard(session, before.picture_id, now=ports.clock())
    return account


async def discard(session: Session, blob_id: UUID | None, *, now: datetime) -> None:
    """Have a blob removed that is shown no more."""
    if blob_id is not None:
        await repository.discard(session, blob_id, now=now)


async def _in_version(session: Session, account_id: UUID, expected: int) -> Account:
    """The account, in the version that is then changed: what is read of it here is what the change replaces."""
    account = await accounts.find(session, account_id)
    if account is None or account.version != expected:
        raise errors.PreconditionFailed
    return account


async def find_shown(session: Session, caller: Caller, ports: Ports, *, user_id: UUID) -> Shown:
    """The picture of oneself or of a colleague; raises NotFound where there is none or none to be seen."""
    if user_id != caller.user_id:
        held = await organisations.memberships_of(session, user_id)
        if caller.org_id is None or caller.org_id not in {row.org_id for row in held}:
            raise errors.NotFound
    account = await accounts.find(session, user_id)
    shown = await shown_of(session, ports, account) if account else None
    if shown is None:
        raise errors.NotFound
    return shown


async def shown_of(session: Session, ports: Ports, account: Account) -> Shown | None:
    """An account's picture, if there is one."""
    if account.picture_id is None:
        return None
    return Shown(account.picture_id, await ports.keyring.existing(session, account.id))


async def content_of(ports: Ports, shown: Shown) -> bytes:
    """The picture itself; outside of any transaction. Raises Unavailable, and NotFound when it was just replaced."""
    blob = await ports.blobs.get(blob_name(shown.blob_id))
    return shown.key.decrypt_bytes(blob.content, context=CONTENT)


async def list_due(session: Session, *, by: datetime, after: UUID | None, limit: int) -> Sequence[UUID]:
    """A batch, by id, of blobs that nobody shows and that are to be removed."""
    return await repository.due(session, by=by, after=after, limit=limit)


async def sweep(session: Session, ports: Ports, *, blob_id: UUID, by: datetime) -> bool:
    """Remove a blob that is due; False when it is not any more. Raises Unavailable, and then it is due again."""
    if not await repository.hold_due(session, blob_id, by=by):
        return False
    await ports.blobs.delete(blob_name(blob_id))
    await repository.forget(session, blob_id)
    return True
