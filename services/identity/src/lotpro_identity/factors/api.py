"""The HTTP door to second factors."""

import io
from typing import Annotated
from uuid import UUID

import segno
from fastapi import APIRouter, Depends, Request, Response

from lotpro_identity.accounts import attempts
from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.attempts import TooManyAttempts
from lotpro_identity.accounts.domain import PhoneInvalid
from lotpro_identity.challenges.domain import CodeInvalid
from lotpro_identity.db import as_authenticator
from lotpro_identity.factors import codes, domain, passkeys, service
from lotpro_identity.factors.domain import Kind
from lotpro_identity.factors.schemas import (
    CeremonyAnswer,
    ConfirmCodes,
    ConfirmTotp,
    FactorAnswer,
    FactorConfirmed,
    Factors,
    NewCodes,
    NewPasskey,
    NewTotp,
    RecoveryCodes,
    RenameFactor,
    TotpEnrolment,
)
from lotpro_identity.organisations import service as organisations
from lotpro_identity.ports import Ports
from lotpro_identity.sessions import service as sessions
from lotpro_identity.sessions.domain import is_federated
from lotpro_identity.sessions.schemas import Transport
from lotpro_identity.sessions.tokens import Opened, deliver, first_method
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.db import Database, Session

_ADDING = (domain.FactorExists, domain.TooManyFactors, api.StepUpRequired)


async def adding(request: Request, caller: api.Enrolling) -> Caller:
    """Somebody who has no factor yet, or who gave one lately; raises StepUpRequired."""
    if caller.aal != api.ENROLLING:
        api.check_fresh(caller, now=api.door(request).user_tokens.now())
    return caller


Adding = Annotated[Caller, Depends(adding)]


def router(database: Database, ports: Ports) -> APIRouter:
    """Routes of second factors."""
    routes = APIRouter(prefix="/api/identity/v1", tags=["factors"])

    async def may_add(session: Session, caller: Caller) -> UUID:
        account_id = api.user_id(caller)
        has_strong = await service.check_may_add(session, account_id, enrolling=caller.aal == api.ENROLLING)
        # Who has nothing strong, or has lost it and used a recovery code, could else never get a strong one.
        if has_strong and caller.aal != api.ENROLLING and domain.RECOVERY_AMR not in caller.amr:
            api.check_stepped_up(caller, now=ports.clock().timestamp())
        return account_id

    async def confirmed(
        session: Session, caller: Caller, factor_id: UUID, kind: Kind
    ) -> tuple[list[str], Opened | None]:
        account_id = api.user_id(caller)
        recovery_codes = await service.confirm(
            session, caller, ports, factor_id=factor_id, account_id=account_id, kind=kind,
            org_id=await organisations.home_of(session, account_id),
        )
        if caller.aal != api.ENROLLING:
            return recovery_codes, None
        # Whom an organisation's provider vouched for in the first step begins in that organisation.
        federated = caller.org_id if is_federated(caller.amr) else None
        account, _ = await accounts.get_own(session, ports, account_id)
        return recovery_codes, await sessions.open_session(
            session, caller, ports, account=account, amr=(*first_method(federated), domain.AMR[kind]), factor=kind,
            org_id=federated,
        )

    @routes.post("/factors/totp", status_code=201, responses=api.problems(*_ADDING))
    async def enrol_totp(caller: Adding, body: NewTotp | None = None) -> TotpEnrolment:
        """Begin to use an authenticator app: answers the secret and its QR code."""
        async with database.begin(as_authenticator(caller)) as session:
            account_id = await may_add(session, caller)
            account, _ = await accounts.get_own(session, ports, account_id)
            seed = await service.enrol_totp(session, ports, account_id=account_id, name=(body or NewTotp()).name)
        uri = domain.uri(seed, account.email)
        image = io.BytesIO()
        segno.make(uri, error="m").save(image, kind="svg", scale=4, border=2)
        return TotpEnrolment(secret=seed, uri=uri, qr_svg=image.getvalue().decode())

    @routes.post(
        "/factors/totp:confirm", responses=api.problems(CodeInvalid, domain.FactorMissing, TooManyAttempts, *_ADDING)
    )
    async def confirm_totp(body: ConfirmTotp, caller: Adding, response: Response) -> FactorConfirmed:
        """Prove the app works with its first code: the session begins, recovery codes are shown once."""
        async with database.begin(as_authenticator(caller)) as session:
            account_id = await may_add(session, caller)
            await _reserve(session, ports, caller, account_id)
            factor_id = await service.confirm_totp(session, ports, account_id=account_id, code=body.code)
            done = await confirmed(session, caller, factor_id, Kind.TOTP) if factor_id else None
        return _answer(response, done, body.transport)

    @routes.post("/factors/passkeys:begin", responses=api.problems(*_ADDING))
    async def begin_passkey(caller: Adding) -> CeremonyAnswer:
        """Begin to use a passkey: answers what the browser asks the authenticator."""
        async with database.begin(as_authenticator(caller)) as session:
            account, _ = await accounts.get_own(session, ports, await may_add(session, caller))
            ceremony = await passkeys.begin_registration(session, ports, account=account)
        return CeremonyAnswer(ceremony_id=ceremony.id, options=ceremony.options)

    @routes.post("/factors/passkeys", responses=api.problems(domain.PasskeyInvalid, *_ADDING))
    async def add_passkey(body: NewPasskey, caller: Adding, response: Response) -> FactorConfirmed:
        """Add the passkey that the authenticator made."""
        async with database.begin(as_authenticator(caller)) as session:
            account_id = await may_add(session, caller)
            factor_id = await passkeys.finish_registration(
                session, ports, account_id=account_id, ceremony_id=body.ceremony_id, credential=body.credential,
                name=body.name,
            )
            done = await confirmed(session, caller, factor_id, Kind.PASSKEY)
        return _answer(response, done, body.transport)

    @routes.post(
        "/factors/codes",
        status_code=202,
        responses=api.problems(PhoneInvalid, domain.ChannelNotAllowed, TooManyAttempts, *_ADDING),
    )
    async def enrol_codes(body: NewCodes, caller: Adding) -> Response:
        """Begin to get codes by SMS or e-mail: the first one is sent now."""
        async with database.begin(as_authenticator(caller)) as session:
            account, _ = await accounts.get_own(session, ports, await may_add(session, caller))
            org_id = await organisations.home_of(session, account.id)
            await codes.begin(
                session, caller, ports, account=account, org_id=org_id, kind=Kind(body.channel), phone=body.phone
            )
        return Response(status_code=202)

    @routes.post("/factors/codes:confirm", responses=api.problems(CodeInvalid, TooManyAttempts, *_ADDING))
    async def confirm_codes(body: ConfirmCodes, caller: Adding, response: Response) -> FactorConfirmed:
        """Prove that codes arrive with the first one."""
        kind = Kind(body.channel)
        async with database.begin(as_authenticator(caller)) as session:
            account_id = await may_add(session, caller)
            await _reserve(session, ports, caller, account_id)
            factor_id = await codes.finish(session, caller, ports, account_id=account_id, kind=kind, code=body.code)
            done = await confirmed(session, caller, factor_id, kind) if factor_id else None
        return _answer(response, done, body.transport)

    @routes.get("/factors")
    async def list_factors(caller: api.Signed) -> Factors:
        """One's own second factors."""
        account_id = api.user_id(caller)
        async with database.begin(caller) as session:
            rows = await service.confirmed(session, account_id)
            left = await service.recovery_codes_left(session, account_id)
        items = [
            FactorAnswer(
                id=row.id, kind=row.kind, name=row.name, since=row.confirmed_at, last_used_at=row.last_used_at
            )
            for row in rows
        ]
        return Factors(items=items, recovery_codes_left=left)

    @routes.patch(
        "/factors/{factor_id}", status_code=204, responses=api.problems(errors.NotFound, api.StepUpRequired)
    )
    async def rename_factor(factor_id: str, body: RenameFactor, caller: api.SteppedUp) -> Response:
        """Call a factor something else."""
        async with database.begin(as_authenticator(caller)) as session:
            await service.rename(
                session, caller, ports, account_id=api.user_id(caller), factor_id=api.path_id(factor_id),
                name=body.name,
            )
        return Response(status_code=204)

    @routes.delete(
        "/factors/{factor_id}",
        status_code=204,
        responses=api.problems(errors.NotFound, domain.LastFactor, api.StepUpRequired),
    )
    async def remove_factor(factor_id: str, caller: api.SteppedUp) -> Response:
        """Remove a factor; the last strong one stays."""
        async with database.begin(as_authenticator(caller)) as session:
            await service.remove(
                session, caller, ports, account_id=api.user_id(caller), factor_id=api.path_id(factor_id)
            )
        return Response(status_code=204)

    @routes.post("/factors/recovery-codes", responses=api.problems(api.StepUpRequired))
    async def renew_recovery_codes(caller: api.SteppedUp) -> RecoveryCodes:
        """New recovery codes, shown this once; the old ones end."""
        async with database.begin(as_authenticator(caller)) as session:
            fresh = await service.renew_recovery_codes(session, caller, ports, account_id=api.user_id(caller))
        return RecoveryCodes(recovery_codes=fresh)

    return routes


async def _reserve(session: Session, ports: Ports, caller: Caller, account_id: UUID) -> None:
    await attempts.reserve(session, "factor", account=str(account_id), ip=caller.origin.ip, now=ports.clock())


def _answer(
    response: Response, done: tuple[list[str], Opened | None] | None, transport: Transport
) -> FactorConfirmed:
    """What a confirmed factor brings; raises CodeInvalid where none was confirmed."""
    if done is None:
        raise CodeInvalid
    recovery_codes, opened = done
    if opened is None:
        return FactorConfirmed(status="added", recovery_codes=recovery_codes)
    tokens = deliver(response, opened, transport)
    return FactorConfirmed(**tokens.model_dump(exclude={"device_token"}), recovery_codes=recovery_codes)
