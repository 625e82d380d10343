"""Use cases of sessions: open, refresh, list, revoke."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, delete, func, insert, select, update

from lotpro_identity.accounts import attempts
from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.domain import ACTIVITY_NOTED, Account
from lotpro_identity.alerts import service as alerts
from lotpro_identity.alerts.domain import Topic
from lotpro_identity.breakglass import service as breakglass
from lotpro_identity.devices import service as devices
from lotpro_identity.factors.domain import Kind
from lotpro_identity.organisations import service as organisations
from lotpro_identity.organisations.domain import Membership, roles_claim
from lotpro_identity.ports import Ports
from lotpro_identity.revocations import service as revocations
from lotpro_identity.risk import domain as risk
from lotpro_identity.sessions.domain import (
    BoundToOrganisation,
    CredentialsInvalid,
    SessionOver,
    Use,
    digest,
    is_federated,
    judge,
    network_of,
)
from lotpro_identity.sessions.models import REFRESH_TOKENS, SESSIONS
from lotpro_identity.sessions.tokens import Opened, access_token, session_lifetime
from lotpro_kit import errors, ids, outbox
from lotpro_kit.caller import ALL_STORES, Caller
from lotpro_kit.db import Session, Statement, together

USER_AGENT, IP = "sessions.user_agent", "sessions.ip"

_EARLIER = select(
    func.count().label("sessions"),
    func.bool_or(SESSIONS.c.agent_index == bindparam("agent")).label("agent"),
    func.bool_or(SESSIONS.c.network_index == bindparam("network")).label("network"),
    func.max(SESSIONS.c.last_used_at).label("last"),
).where(SESSIONS.c.account_id == bindparam("account_id"))
_ACCESS = {"account": accounts.OF_ID, "memberships": organisations.MEMBERSHIPS_OF}
_PAST = {"tries": attempts.TRIES, "earlier": _EARLIER}
#: What has to be known before tokens are made, before a sign-in is judged, and for both at once.
_READ_ACCESS, _READ_PAST = Statement(together(**_ACCESS)), Statement(together(**_PAST))
_READ_BOTH = Statement(together(**_ACCESS, **_PAST))
_OPENED = (
    insert(SESSIONS)
    .values({column.name: bindparam(column.name) for column in SESSIONS.c if column.name != "revoked_at"})
    .returning(SESSIONS.c.id, SESSIONS.c.created_at)
    .cte("opened")
)
#: A session, its first refresh token and what is forgiven for it.
_OPEN = outbox.Writes(
    token=insert(REFRESH_TOKENS).from_select(
        ["digest", "session_id", "created_at"],
        select(bindparam("digest", type_=REFRESH_TOKENS.c.digest.type), _OPENED.c.id, _OPENED.c.created_at),
    ),
    forgiven=attempts.FORGIVE,
)


async def open_session(
    session: Session,
    caller: Caller,
    ports: Ports,
    *,
    account: Account,
    amr: tuple[str, ...],
    factor: str,
    aal: str = "aal2",
    trust: bool = False,
    stays: bool = False,
    org_id: UUID | None = None,
    authenticated_at: datetime | None = None,
    tries: Sequence[attempts.Limit] = (),
) -> Opened:
    """A new session with its first tokens; where it was opened is encrypted under the person's key.

    `org_id` is the organisation whose provider vouches for the person: the session is in it and in no other.
    `authenticated_at` is when they proved who they are, if that was not now; `tries` are forgiven for it.

    What is unusual about it is told to the owner and the security log. With `trust` the device is trusted from now on;
    with `stays` a browser keeps the session when it is closed.
    Raises CredentialsInvalid for an account that was closed or locked since it was read.
    """
    now, account_id = ports.clock(), account.id
    session_id, proven_at = ids.new(), authenticated_at or now
    sign_in = _SignIn(caller, ports, account)
    [known] = await _READ_BOTH.all(session, **sign_in.parameters)
    try:
        access = await _access(session, ports, account_id, known, org_id=org_id, only=org_id is not None)
    except SessionOver as closed:
        # The password was right a moment ago; the account was closed since.
        raise CredentialsInvalid from closed
    if not access.account.may_sign_in:
        raise CredentialsInvalid
    await accounts.note_activity(session, account_id, noted=access.account.last_active_at, now=now)
    if factor != Kind.EMAIL:
        await accounts.note_other_means(session, access.account)
    found = risk.signals(await _seen(session, ports, sign_in, known))
    await _tell(session, caller, ports, found, account_id=account_id, org_id=access.org_id, session_id=session_id)
    key = await ports.keyring.for_subject(session, account_id)
    refresh_token = _new_refresh_token()
    event = ports.security_log.event(
        caller, "identity:session:create", at=now, actor_id=account_id, org_id=access.org_id,
        session_id=session_id, subject=("user", account_id), factor=factor,
    )
    await _OPEN.make(
        session, event, id=session_id, account_id=account_id, org_id=access.org_id, aal=aal, amr=" ".join(amr),
        created_at=now, authenticated_at=proven_at, last_used_at=now, agent_index=sign_in.agent,
        network_index=sign_in.network, stays=stays,
        user_agent=key.encrypt(caller.origin.user_agent, context=USER_AGENT),
        ip=key.encrypt(caller.origin.ip, context=IP), expires_at=now + session_lifetime(),
        digest=digest(refresh_token), **attempts.forgiving(tries),
    )
    token = access_token(
        ports, account_id=account_id, session_id=session_id, access_version=access.version, org_id=access.org_id,
        roles=access.roles, until=access.until, aal=aal, amr=amr, auth_time=int(proven_at.timestamp()),
    )
    device_token = (
        await devices.trust(session, caller, ports, account_id=account_id, org_id=access.org_id) if trust else None
    )
    return Opened(session_id, token, refresh_token, device_token, stays)


class _SignIn:
    """Who signs in from where, as the questions about it want it."""

    def __init__(self, caller: Caller, ports: Ports, account: Account) -> None:
        self.account, self.ip = account, caller.origin.ip
        self.agent = self._index(ports, caller.origin.user_agent, USER_AGENT)
        self.network = self._index(ports, network_of(caller.origin.ip), IP)
        self.tries = attempts.Asked(email=account.email, account_id=account.id, ip=self.ip, now=ports.clock())
        self.parameters: dict[str, object] = {
            "account_id": account.id, "agent": self.agent, "network": self.network, **self.tries.parameters,
        }

    def _index(self, ports: Ports, value: str, context: str) -> bytes:
        return ports.blind_index.of(f"{self.account.id}:{value}", context=context)


async def seen(session: Session, caller: Caller, ports: Ports, *, account: Account) -> risk.Seen:
    """What is known of a sign-in before it happens."""
    sign_in = _SignIn(caller, ports, account)
    [known] = await _READ_PAST.all(session, **sign_in.parameters)
    return await _seen(session, ports, sign_in, known)


async def _seen(session: Session, ports: Ports, sign_in: _SignIn, known: Any) -> risk.Seen:
    now, account = ports.clock(), sign_in.account
    tried = sign_in.tries.answered(known.tries)
    [(count, known_agent, known_network, last)] = known.earlier
    if not count and now - account.created_at > session_lifetime():
        # Their sessions are forgotten after that long; the account is none that begins.
        count, last = 1, account.last_active_at
    speed = await _speed(session, ports, account.id, ip=sign_in.ip) if ports.places.are_known else 0.0
    return risk.Seen(
        earlier_sessions=count, known_agent=bool(known_agent), known_network=bool(known_network),
        # The present try is among them.
        failed_passwords=max(0, tried.passwords - 1), failed_factors=max(0, tried.factors - 1),
        tries_from_address=tried.from_address, accounts_from_address=tried.accounts, codes_sent=tried.codes,
        days_since_last=(now - last).total_seconds() / 86_400 if last else 0.0, kilometres_an_hour=speed,
    )


async def _speed(session: Session, ports: Ports, account_id: UUID, *, ip: str) -> float:
    """How fast a person would have travelled since a session was last used elsewhere, km/h; 0 where that is unknown."""
    found = await session.execute(
        select(SESSIONS.c.ip, SESSIONS.c.last_used_at)
        .where(SESSIONS.c.account_id == account_id)
        .order_by(SESSIONS.c.last_used_at.desc())
        .limit(1)
    )
    row, here = found.one_or_none(), ports.places.of(ip)
    if row is None or here is None:
        return 0.0
    key = await ports.keyring.existing(session, account_id)
    there = ports.places.of(key.decrypt(row.ip, context=IP))
    if there is None or (distance := here.kilometres_to(there)) < risk.NEARBY_KILOMETRES:
        return 0.0
    hours: float = (ports.clock() - row.last_used_at).total_seconds() / 3600
    return distance / max(hours, risk.SHORTEST_HOURS)


async def _tell(
    session: Session, caller: Caller, ports: Ports, found: list[risk.Signal], *, account_id: UUID,
    org_id: UUID | None, session_id: UUID,
) -> None:
    if risk.score(found) >= risk.HIGH:
        await alerts.tell(session, ports, Topic.UNUSUAL_SIGN_IN, account_id=account_id, org_id=org_id)
        await ports.security_log.record(
            session, caller, "identity:session:suspicious", at=ports.clock(), actor_id=account_id, org_id=org_id,
            session_id=session_id, subject=("user", account_id), changed=tuple(found),
        )
    elif risk.Signal.NEW_AGENT in found:
        await alerts.tell(session, ports, Topic.NEW_DEVICE, account_id=account_id, org_id=org_id)


async def record_failure(
    session: Session, caller: Caller, ports: Ports, *, account_id: UUID | None, factor: str, tried: str = ""
) -> None:
    """Somebody did not get in. `tried` is the address whose password was guessed: who tries many is told of."""
    ip, now = caller.origin.ip, ports.clock()
    if tried and await attempts.accounts_tried(session, account=tried, ip=ip, now=now) == risk.MANY_ACCOUNTS:
        await ports.security_log.record(
            session, caller, "identity:session:suspicious", at=now, success=False, factor=factor,
            changed=(risk.Signal.MANY_ACCOUNTS,),
        )
    org_id = await organisations.home_of(session, account_id) if account_id else None
    await ports.security_log.record(
        session, caller, "identity:session:create", at=now, success=False, actor_id=account_id, org_id=org_id,
        subject=("user", account_id) if account_id else None, factor=factor,
    )


async def refresh(session: Session, caller: Caller, ports: Ports, *, refresh_token: str) -> Opened | None:
    """New tokens for an open session; None when the token was stolen, and the session is revoked. Commit either way.

    Raises SessionOver for unknown tokens and sessions that ended. The token's row is locked, so that parallel
    refreshes are judged one after the other.
    """
    now = ports.clock()
    found = await session.execute(
        select(REFRESH_TOKENS.c.used_at, SESSIONS)
        .join(SESSIONS, SESSIONS.c.id == REFRESH_TOKENS.c.session_id)
        .where(REFRESH_TOKENS.c.digest == digest(refresh_token))
        .with_for_update()
    )
    row = found.one_or_none()
    if row is None or row.revoked_at is not None or row.expires_at <= now:
        raise SessionOver
    use = judge(used_at=row.used_at, now=now)
    if use is Use.REUSE:
        await session.execute(update(SESSIONS).where(SESSIONS.c.id == row.id).values(revoked_at=now))
        await revocations.revoke_sessions(session, [row.id], now=now)
        await alerts.tell(session, ports, Topic.SESSION_STOLEN, account_id=row.account_id, org_id=row.org_id)
        await ports.security_log.record(
            session, caller, "identity:session:refresh_reuse", at=now, success=False, actor_id=row.account_id,
            org_id=row.org_id, session_id=row.id, subject=("session", row.id),
        )
        return None
    if use is Use.FIRST:
        await session.execute(
            update(REFRESH_TOKENS).where(REFRESH_TOKENS.c.digest == digest(refresh_token)).values(used_at=now)
        )
    access = await access_of(session, ports, row.account_id, org_id=row.org_id, only=is_federated(row.amr.split()))
    await accounts.note_activity(session, row.account_id, noted=access.account.last_active_at, now=now)
    await session.execute(
        update(SESSIONS).where(SESSIONS.c.id == row.id).values(last_used_at=now, org_id=row.org_id or access.org_id)
    )
    fresh = await _add_refresh_token(session, ports, row.id)
    token = access_token(
        ports, account_id=row.account_id, session_id=row.id, access_version=access.version, org_id=access.org_id,
        roles=access.roles, until=access.until, aal=row.aal, amr=tuple(row.amr.split()),
        auth_time=int(row.authenticated_at.timestamp()),
    )
    return Opened(row.id, token, fresh, stays=row.stays)


async def step_up(session: Session, caller: Caller, ports: Ports, *, amr: str, factor: str) -> Opened:
    """New tokens for the caller's session, now that a second factor was given again; raises SessionOver.

    The refresh token is another one too (OWASP ASVS 5.0, 7.2.4): who has stolen the one before may do no more with it
    than before, and ends the session by trying.
    """
    now = ports.clock()
    row = await _own_open(session, caller, ports)
    given = tuple(dict.fromkeys((*row.amr.split(), amr)))
    await session.execute(
        update(SESSIONS).where(SESSIONS.c.id == row.id).values(aal="aal2", amr=" ".join(given), authenticated_at=now)
    )
    access = await access_of(session, ports, row.account_id, org_id=row.org_id, only=is_federated(row.amr.split()))
    await ports.security_log.record(
        session, caller, "identity:session:step_up", at=now, subject=("session", row.id), factor=factor
    )
    await session.execute(
        update(REFRESH_TOKENS)
        .where(REFRESH_TOKENS.c.session_id == row.id, REFRESH_TOKENS.c.used_at.is_(None))
        .values(used_at=now)
    )
    fresh = await _add_refresh_token(session, ports, row.id)
    token = access_token(
        ports, account_id=row.account_id, session_id=row.id, access_version=access.version, org_id=access.org_id,
        roles=access.roles, until=access.until, aal="aal2", amr=given, auth_time=int(now.timestamp()),
    )
    return Opened(row.id, token, fresh, stays=row.stays)


async def switch(session: Session, caller: Caller, ports: Ports, *, org_id: UUID) -> str:
    """An access token for another of the person's organisations; raises NotFound, SessionOver, BoundToOrganisation."""
    row = await _own_open(session, caller, ports)
    if is_federated(row.amr.split()):
        raise BoundToOrganisation
    access = await access_of(session, ports, row.account_id, org_id=org_id)
    if access.org_id is None:
        raise errors.NotFound
    await session.execute(update(SESSIONS).where(SESSIONS.c.id == row.id).values(org_id=org_id))
    await ports.security_log.record(
        session, caller, "identity:session:switch", at=ports.clock(), org_id=org_id, subject=("session", row.id)
    )
    return access_token(
        ports, account_id=row.account_id, session_id=row.id, access_version=access.version, org_id=org_id,
        roles=access.roles, until=access.until, aal=row.aal, amr=tuple(row.amr.split()),
        auth_time=int(row.authenticated_at.timestamp()),
    )


async def _own_open(session: Session, caller: Caller, ports: Ports) -> Row[Any]:
    found = await session.execute(
        select(SESSIONS).where(
            SESSIONS.c.id == caller.session_id, SESSIONS.c.account_id == caller.user_id,
            SESSIONS.c.revoked_at.is_(None), SESSIONS.c.expires_at > ports.clock(),
        ).with_for_update()
    )
    row = found.one_or_none()
    if row is None:
        raise SessionOver
    return row


async def list_own(session: Session, ports: Ports, *, account_id: UUID) -> Sequence[tuple[Row[Any], str, str]]:
    """One's own open sessions, newest first, each with its browser and address."""
    found = await session.execute(
        select(SESSIONS)
        .where(
            SESSIONS.c.account_id == account_id, SESSIONS.c.revoked_at.is_(None),
            SESSIONS.c.expires_at > ports.clock(),
        )
        .order_by(SESSIONS.c.id.desc())
    )
    key = await ports.keyring.for_subject(session, account_id)
    return [
        (row, key.decrypt(row.user_agent, context=USER_AGENT), key.decrypt(row.ip, context=IP)) for row in found
    ]


async def revoke_own(session: Session, caller: Caller, ports: Ports, *, account_id: UUID, session_id: UUID) -> None:
    """End one of one's own sessions; raises NotFound."""
    now = ports.clock()
    ended = await session.execute(
        update(SESSIONS)
        .where(SESSIONS.c.id == session_id, SESSIONS.c.account_id == account_id, SESSIONS.c.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(SESSIONS.c.id)
    )
    if ended.one_or_none() is None:
        raise errors.NotFound
    await revocations.revoke_sessions(session, [session_id], now=now)
    await ports.security_log.record(
        session, caller, "identity:session:revoke", at=now, subject=("session", session_id)
    )


async def end_all(
    session: Session, ports: Ports, *, account_id: UUID, but: UUID | None = None
) -> Sequence[UUID]:
    """End every session of a person, or every other than one; answers which."""
    now = ports.clock()
    wanted = [SESSIONS.c.account_id == account_id, SESSIONS.c.revoked_at.is_(None), SESSIONS.c.expires_at > now]
    if but is not None:
        wanted.append(SESSIONS.c.id != but)
    ended = await session.execute(update(SESSIONS).where(*wanted).values(revoked_at=now).returning(SESSIONS.c.id))
    session_ids = list(ended.scalars())
    await revocations.revoke_sessions(session, session_ids, now=now)
    return session_ids


async def revoke_all(session: Session, caller: Caller, ports: Ports, *, account_id: UUID) -> int:
    """End all of one's own sessions, the present one too; answers how many."""
    return await _revoke_but(session, caller, ports, account_id=account_id, but=None)


async def forget(session: Session, *, as_of: datetime) -> int:
    """Drop sessions whose time is over, with their refresh tokens; answers how many.

    That somebody was there last is kept with the account first: its own note is behind by an hour at most.
    """
    over = SESSIONS.c.expires_at <= as_of
    latest = (
        select(SESSIONS.c.account_id, func.max(SESSIONS.c.last_used_at).label("used_at"))
        .where(over).group_by(SESSIONS.c.account_id)
    )
    for row in await session.execute(latest):
        await accounts.note_activity(session, row.account_id, noted=row.used_at - ACTIVITY_NOTED, now=row.used_at)
    dropped = await session.execute(delete(SESSIONS).where(over))
    return int(getattr(dropped, "rowcount", 0))


async def last_used(session: Session, account_id: UUID) -> datetime | None:
    """When a session of the person was last used, as far as sessions are still kept."""
    found = await session.execute(select(func.max(SESSIONS.c.last_used_at)).where(SESSIONS.c.account_id == account_id))
    moment: datetime | None = found.scalar_one_or_none()
    return moment


async def forget_all(session: Session, ports: Ports, *, account_id: UUID) -> None:
    """End every session of a person and keep nothing of them."""
    await end_all(session, ports, account_id=account_id)
    await session.execute(delete(SESSIONS).where(SESSIONS.c.account_id == account_id))


async def revoke_others(session: Session, caller: Caller, ports: Ports, *, account_id: UUID) -> int:
    """End all of one's own sessions but the present one; answers how many."""
    return await _revoke_but(session, caller, ports, account_id=account_id, but=caller.session_id)


async def _revoke_but(
    session: Session, caller: Caller, ports: Ports, *, account_id: UUID, but: UUID | None
) -> int:
    ended = await end_all(session, ports, account_id=account_id, but=but)
    for session_id in ended:
        await ports.security_log.record(
            session, caller, "identity:session:revoke", at=ports.clock(), subject=("session", session_id)
        )
    return len(ended)


@dataclass(frozen=True, slots=True)
class Access:
    """What a person may do where they are at work: the organisation, the roles as the token carries them."""

    account: Account
    org_id: UUID | None
    roles: dict[str, list[str]]
    #: When it ends by itself.
    until: datetime | None = None

    @property
    def version(self) -> int:
        """The access version, for the token."""
        return self.account.access_version


async def access_of(
    session: Session, ports: Ports, account_id: UUID, *, org_id: UUID | None = None, only: bool = False
) -> Access:
    """A person's access in the organisation they are at work in, or in the one they joined first.

    Nobody is moved to another organisation unasked: whoever is not a member any more, or suspended, is nothing until
    they switch. With `only` it is that organisation as a member, or SessionOver. Raises SessionOver.
    """
    [known] = await _READ_ACCESS.all(session, account_id=account_id)
    return await _access(session, ports, account_id, known, org_id=org_id, only=only)


async def _access(
    session: Session, ports: Ports, account_id: UUID, known: Any, *, org_id: UUID | None, only: bool
) -> Access:
    account = next((Account(*row) for row in known.account), None)
    if account is None or not account.is_active:
        raise SessionOver
    memberships = (Membership(*row) for row in known.memberships)
    rows = [membership for membership in memberships if membership.suspended_at is None]
    at_home = [row.org_id for row in rows]
    if only and org_id not in at_home:
        raise SessionOver
    chosen = next(iter(at_home), None) if org_id is None else org_id if org_id in at_home else None
    if chosen is None and (granted := await breakglass.granted(session, ports, account_id=account_id, org_id=org_id)):
        return Access(account, org_id, {ALL_STORES: [granted.role]}, granted.expires_at)
    roles = roles_claim((row.store_id, row.role) for row in rows if row.org_id == chosen)
    return Access(account, chosen, roles)


def _new_refresh_token() -> str:
    return secrets.token_urlsafe(32)


async def _add_refresh_token(session: Session, ports: Ports, session_id: UUID) -> str:
    token = _new_refresh_token()
    await session.execute(
        insert(REFRESH_TOKENS).values(digest=digest(token), session_id=session_id, created_at=ports.clock())
    )
    return token
