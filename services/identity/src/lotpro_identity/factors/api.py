"""The HTTP door to second factors."""

import io
from datetime import datetime

import segno
from fastapi import APIRouter, Response
from pydantic import Field

from lotpro_identity.accounts import attempts
from lotpro_identity.accounts import service as accounts
from lotpro_identity.accounts.attempts import TooManyAttempts
from lotpro_identity.accounts.schemas import Code
from lotpro_identity.challenges.domain import CodeInvalid
from lotpro_identity.db import as_authenticator
from lotpro_identity.factors import domain, service
from lotpro_identity.organisations import service as organisations
from lotpro_identity.ports import Ports
from lotpro_identity.sessions import service as sessions
from lotpro_identity.sessions.schemas import Transport
from lotpro_identity.sessions.tokens import Tokens, deliver
from lotpro_kit import api
from lotpro_kit.api import Answer, Body
from lotpro_kit.db import Database


class TotpEnrolment(Answer):
    """What an authenticator app needs."""

    secret: str = Field(description="Base32, for typing in.")
    uri: str = Field(description="otpauth:// address, what the QR code says.")
    qr_svg: str = Field(description="The QR code as an SVG image.")


class ConfirmTotp(Body):
    """The code the app shows."""

    code: Code
    transport: Transport = Transport.BODY


class FactorConfirmed(Tokens):
    """The session that begins, and codes for the day the phone is lost. They are shown this once."""

    recovery_codes: list[str]


class FactorAnswer(Answer):
    """A second factor."""

    kind: str
    since: datetime


class Factors(Answer):
    """The second factors of an account."""

    items: list[FactorAnswer]
    recovery_codes_left: int


def router(database: Database, ports: Ports) -> APIRouter:
    """Routes of second factors."""
    routes = APIRouter(prefix="/api/identity/v1", tags=["factors"])

    @routes.post("/factors/totp", status_code=201, responses=api.problems(domain.FactorExists))
    async def enrol_totp(caller: api.Enrolling) -> TotpEnrolment:
        """Begin to use an authenticator app: answers the secret and its QR code."""
        account_id = api.user_id(caller)
        async with database.begin(caller) as session:
            account, _ = await accounts.get_own(session, ports, account_id)
            seed = await service.enrol_totp(session, ports, account_id=account_id)
        uri = domain.uri(seed, account.email)
        image = io.BytesIO()
        segno.make(uri, error="m").save(image, kind="svg", scale=4, border=2)
        return TotpEnrolment(secret=seed, uri=uri, qr_svg=image.getvalue().decode())

    @routes.post(
        "/factors/totp:confirm",
        responses=api.problems(CodeInvalid, domain.FactorMissing, domain.FactorExists, TooManyAttempts),
    )
    async def confirm_totp(body: ConfirmTotp, caller: api.Enrolling, response: Response) -> FactorConfirmed:
        """Prove the app works with its first code: the session begins, recovery codes are shown once."""
        account_id = api.user_id(caller)
        async with database.begin(as_authenticator(caller)) as session:
            await attempts.reserve(
                session, "factor", account=str(account_id), ip=caller.origin.ip, now=ports.clock()
            )
            org_id = await organisations.home_of(session, account_id)
            codes = await service.confirm_totp(
                session, caller, ports, account_id=account_id, org_id=org_id, code=body.code
            )
            opened = await sessions.open_session(
                session, caller, ports, account_id=account_id, amr=("pwd", "otp"), factor="totp"
            ) if codes else None
        if codes is None or opened is None:
            raise CodeInvalid
        tokens = deliver(response, opened, body.transport)
        return FactorConfirmed(**tokens.model_dump(), recovery_codes=codes)

    @routes.get("/factors")
    async def list_factors(caller: api.Signed) -> Factors:
        """One's own second factors."""
        account_id = api.user_id(caller)
        async with database.begin(caller) as session:
            since = await service.confirmed_at(session, account_id)
            left = await service.recovery_codes_left(session, account_id)
        return Factors(items=[FactorAnswer(kind="totp", since=since)] if since else [], recovery_codes_left=left)

    return routes
