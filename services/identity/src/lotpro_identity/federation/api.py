"""The HTTP door to an organisation's own identity provider: configuring it, and signing in with it."""

import secrets
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import RedirectResponse

from lotpro_identity.accounts.attempts import TooManyAttempts
from lotpro_identity.accounts.domain import EmailInvalid
from lotpro_identity.clients.oidc import Providers, ProviderUnavailable
from lotpro_identity.federation import domain, service
from lotpro_identity.federation.schemas import (
    Configure,
    DomainAnswer,
    FederationAnswer,
    NewDomain,
    ProviderAnswer,
    SsoStarted,
    StartSso,
)
from lotpro_identity.federation.sign_in import Arrived, Begun, SigningInBySso
from lotpro_identity.organisations.domain import RoleNeedsStore
from lotpro_identity.ports import Ports
from lotpro_identity.sessions.domain import CredentialsInvalid
from lotpro_identity.sessions.schemas import SignedIn, Transport
from lotpro_identity.sessions.tokens import deliver, enrolment_token, ticket
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.db import Database
from lotpro_kit.web import Unreachable, Web

PREFIX = "/api/identity/v1"
COOKIE = "__Host-lotpro-sso"
MayManage = Annotated[Caller, Depends(api.requires("identity:federation:manage"))]
_MANAGING = (errors.Forbidden, api.StepUpRequired)
_STARTING = api.problems(domain.SsoNotAvailable, domain.SsoProviderUnavailable, EmailInvalid, TooManyAttempts)
_ARRIVING = api.problems(
    domain.SsoStateInvalid, domain.SsoIssuerMismatch, domain.SsoRefused, domain.IdTokenForged, domain.IdTokenForeign,
    domain.IdTokenExpired, domain.IdTokenReplayed, domain.IdTokenIncomplete, domain.SsoEmailUnverified,
    domain.SsoNotMember, domain.SsoFactorMissing, domain.SsoProviderUnavailable, CredentialsInvalid, TooManyAttempts,
)


def router(database: Database, ports: Ports, web: Web, providers: Providers, *, public_url: str) -> APIRouter:
    """Routes of federation."""
    routes = APIRouter(prefix=PREFIX, tags=["federation"])
    redirect_uri = f"{public_url.rstrip('/')}{PREFIX}/sso:callback"

    async def stepped_up(caller: MayManage) -> Caller:
        api.check_stepped_up(caller, now=ports.clock().timestamp())
        return caller

    def provider(row: Any) -> ProviderAnswer:
        return ProviderAnswer(
            issuer=row.issuer, client_id=row.client_id, redirect_uri=redirect_uri, jit_role=row.jit_role,
            store_id=row.jit_store_id, honour_mfa=row.honour_mfa, mfa_acr_values=row.mfa_acr_values.split(),
        )

    @routes.get("/federation", responses=api.problems(errors.Forbidden))
    async def get_federation(caller: MayManage, response: Response) -> FederationAnswer:
        """The organisation's identity provider and its domains."""
        async with database.begin(caller) as session:
            row, domains = await service.current(session, caller)
        if row is not None:
            response.headers.update(api.etag(row.version))
        return FederationAnswer(provider=provider(row) if row else None, domains=[_domain(entry) for entry in domains])

    @routes.put(
        "/federation",
        responses=api.problems(
            *_MANAGING, errors.NotFound, errors.PreconditionFailed, errors.PreconditionRequired, RoleNeedsStore,
            domain.IssuerInvalid, domain.ProviderUnfit, domain.SecretMissing,
        ),
    )
    async def configure_federation(
        body: Configure,
        caller: MayManage,
        response: Response,
        if_match: Annotated[str | None, Header(description="What is replaced, if there is one.")] = None,
    ) -> ProviderAnswer:
        """Connect the organisation's identity provider; it is looked at before anything is stored."""
        await stepped_up(caller)
        expected = await api.if_match(if_match) if if_match is not None else None
        async with database.begin(caller) as session:
            await service.check_newcomers(session, caller, role=body.jit_role, store_id=body.store_id)
        if not web.is_allowed(body.issuer) or "?" in body.issuer:
            raise domain.IssuerInvalid
        try:
            await providers.metadata(body.issuer, fresh=True)
        except ProviderUnavailable as error:
            raise domain.ProviderUnfit from error
        async with database.begin(caller) as session:
            row = await service.configure(
                session, caller, ports, expected=expected, issuer=body.issuer, client_id=body.client_id,
                client_secret=body.client_secret.get_secret_value() if body.client_secret else None,
                role=body.jit_role, store_id=body.store_id, honour_mfa=body.honour_mfa,
                mfa_acr_values=tuple(body.mfa_acr_values),
            )
        response.headers.update(api.etag(row.version))
        return provider(row)

    @routes.delete(
        "/federation",
        status_code=204,
        responses=api.problems(*_MANAGING, errors.NotFound, errors.PreconditionFailed, errors.PreconditionRequired),
    )
    async def remove_federation(caller: MayManage, expected: api.ExpectedVersion) -> Response:
        """Disconnect the identity provider: everybody signs in with lotPro's own means again."""
        await stepped_up(caller)
        async with database.begin(caller) as session:
            await service.remove(session, caller, ports, expected=expected)
        return Response(status_code=204)

    @routes.post(
        "/federation/domains",
        status_code=201,
        responses=api.problems(*_MANAGING, domain.DomainInvalid, domain.TooManyDomains),
    )
    async def add_federation_domain(body: NewDomain, caller: MayManage) -> DomainAnswer:
        """Begin to prove a domain: the token answered is to be put on its well-known page."""
        await stepped_up(caller)
        async with database.begin(caller) as session:
            return _domain(
                await service.add_domain(session, caller, ports, name=domain.normalised_domain(body.domain))
            )

    @routes.post(
        "/federation/domains/{name}:verify",
        responses=api.problems(*_MANAGING, errors.NotFound, domain.DomainNotProven, domain.DomainTaken),
    )
    async def verify_federation_domain(name: str, caller: MayManage) -> DomainAnswer:
        """Look for the token on the domain's page; from then on its addresses are the organisation's."""
        await stepped_up(caller)
        async with database.begin(caller) as session:
            row = await service.get_domain(session, caller, name=name)
        if row.verified_at is None and not await proven(row):
            raise domain.DomainNotProven
        async with database.begin(caller) as session:
            return _domain(await service.verify_domain(session, caller, ports, name=name))

    @routes.delete(
        "/federation/domains/{name}", status_code=204, responses=api.problems(*_MANAGING, errors.NotFound)
    )
    async def remove_federation_domain(name: str, caller: MayManage) -> Response:
        """Let go of a domain: nobody new becomes a member by it."""
        await stepped_up(caller)
        async with database.begin(caller) as session:
            await service.remove_domain(session, caller, ports, name=name)
        return Response(status_code=204)

    async def proven(row: Any) -> bool:
        try:
            page = await web.get(web.page_of(row.domain, domain.WELL_KNOWN))
        except Unreachable:
            return False
        return page.status == 200 and secrets.compare_digest(page.body.strip(), row.token.encode())

    async def begin(
        caller: Caller, *, email: str | None, org_id: UUID | None, transport: Transport, fresh: bool
    ) -> Begun:
        steps = SigningInBySso(database, ports, providers, caller, redirect_uri=redirect_uri)
        return await steps.begin(email=email, org_id=org_id, transport=transport, fresh=fresh)

    @routes.post("/sso:start", responses=_STARTING)
    async def start_sso(body: StartSso, caller: api.Anyone, response: Response) -> SsoStarted:
        """Begin to sign in with an organisation's identity provider: where to go. Only this browser can come back."""
        begun = await begin(
            caller, email=body.email, org_id=body.organisation_id, transport=body.transport, fresh=body.fresh
        )
        _set_cookie(response, begun)
        return SsoStarted(authorization_url=begun.url)

    @routes.get("/sso:start", status_code=303, response_class=RedirectResponse, responses=_STARTING)
    async def follow_sso(
        caller: api.Anyone,
        email: Annotated[str | None, Query(max_length=254)] = None,
        organisation_id: UUID | None = None,
        fresh: bool = False,
    ) -> Response:
        """The same as a link: sends the browser to the identity provider; the session comes as cookies."""
        if (email is None) == (organisation_id is None):
            raise domain.SsoNotAvailable
        begun = await begin(caller, email=email, org_id=organisation_id, transport=Transport.COOKIE, fresh=fresh)
        response = RedirectResponse(begun.url, 303)
        _set_cookie(response, begun)
        return response

    @routes.get("/sso:callback", responses=_ARRIVING)
    async def finish_sso(
        request: Request,
        caller: api.Anyone,
        response: Response,
        state: Annotated[str, Query(max_length=128)] = "",
        code: Annotated[str | None, Query(max_length=4096)] = None,
        iss: Annotated[str | None, Query(max_length=512)] = None,
    ) -> SignedIn:
        """Come back from the identity provider; answers as signing in with a password does."""
        steps = SigningInBySso(database, ports, providers, caller, redirect_uri=redirect_uri)
        arrived = await steps.finish(
            state=state, browser_token=request.cookies.get(COOKIE, ""), code=code, issuer=iss
        )
        response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
        response.headers["cache-control"] = "no-store"
        return _signed_in(response, arrived)

    def _signed_in(response: Response, arrived: Arrived) -> SignedIn:
        if arrived.opened is not None:
            tokens = deliver(response, arrived.opened, Transport(arrived.transport))
            return SignedIn(**tokens.model_dump())
        if arrived.kinds:
            proof = ticket(ports, arrived.account, federated=arrived.org_id)
            return SignedIn(status="factor_required", ticket=proof, factors=arrived.kinds)
        return SignedIn(
            status="enrolment_required", token_type="Bearer",  # noqa: S106 - the scheme
            **enrolment_token(ports, arrived.account, federated=arrived.org_id),
        )

    return routes


def _domain(row: Any) -> DomainAnswer:
    return DomainAnswer(
        domain=row.domain, token=row.token, url=f"https://{row.domain}{domain.WELL_KNOWN}",
        verified_at=row.verified_at,
    )


def _set_cookie(response: Response, begun: Begun) -> None:
    age = int(domain.STATE_LIFETIME.total_seconds())
    response.set_cookie(
        COOKIE, begun.browser_token, max_age=age, path="/", secure=True, httponly=True, samesite="lax"
    )
