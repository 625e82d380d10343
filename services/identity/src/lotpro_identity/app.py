"""Identity, wired: the only place where its parts meet."""

import asyncio

from lotpro.identity.v1 import identity_pb2, identity_pb2_grpc
from lotpro.privacy.v1 import participant_pb2, participant_pb2_grpc
from lotpro.revocation.v1 import revocation_pb2, revocation_pb2_grpc
from lotpro_identity import jobs
from lotpro_identity.accounts import api as accounts_api
from lotpro_identity.addresses import api as addresses_api
from lotpro_identity.breakglass import api as breakglass_api
from lotpro_identity.breakglass.domain import Staff
from lotpro_identity.challenges.domain import Codes
from lotpro_identity.clients.breaches import Breaches
from lotpro_identity.clients.oidc import Providers
from lotpro_identity.db import METADATA, ROOM
from lotpro_identity.devices import api as devices_api
from lotpro_identity.factors import api as factors_api
from lotpro_identity.factors.relying_party import RelyingParty
from lotpro_identity.federation import api as federation_api
from lotpro_identity.keys import api as keys_api
from lotpro_identity.keys import jobs as keys_jobs
from lotpro_identity.keys.domain import Signer
from lotpro_identity.lifecycle import api as lifecycle_api
from lotpro_identity.lifecycle import jobs as lifecycle_jobs
from lotpro_identity.members import api as members_api
from lotpro_identity.organisations import api as organisations_api
from lotpro_identity.organisations.rpc import IdentityRpc
from lotpro_identity.origins.places import Places
from lotpro_identity.participant.rpc import ParticipantRpc
from lotpro_identity.passwords import api as passwords_api
from lotpro_identity.passwords.hashing import Passwords
from lotpro_identity.pictures import api as pictures_api
from lotpro_identity.pictures import jobs as pictures_jobs
from lotpro_identity.pictures.images import Images
from lotpro_identity.ports import Ports
from lotpro_identity.preferences import api as preferences_api
from lotpro_identity.provisioning import api as provisioning_api
from lotpro_identity.provisioning import scim
from lotpro_identity.recovery import api as recovery_api
from lotpro_identity.revocations.rpc import RevocationRpc
from lotpro_identity.revocations.service import Feed
from lotpro_identity.sessions import api as sessions_api
from lotpro_identity.settings import Settings
from lotpro_kit import rpc, service
from lotpro_kit.settings import Secret
from lotpro_kit.web import Web


def wire(runtime: service.Runtime[Settings]) -> service.Parts:
    """Identity's doors on a runtime."""
    database, settings = runtime.database, runtime.settings
    signer, signing_key = Signer(lambda: settings.signing_key.get_secret_value()), Secret(settings, "signing_key")
    ports = Ports(
        signer=signer,
        codes=Codes(lambda: settings.code_key.get_secret_value()),
        passwords=_passwords(settings),
        keyring=runtime.keyring,
        blind_index=runtime.blind_index,
        security_log=runtime.security_log,
        clock=runtime.clock,
        blobs=runtime.blobs(settings.blob_url),
        images=Images(queue=settings.picture_queue),
        breaches=Breaches(lambda: settings.breached_range_url or ""),
        relying_party=RelyingParty(lambda: (settings.public_url, *settings.passkey_origins)),
        level_seconds=settings.level_seconds,
        staff=Staff(lambda: settings.platform_staff),
        places=Places(lambda: settings.geoip_file),
    )
    web = Web(lambda: (settings.sandbox_issuers, settings.sandbox_domains))
    runtime.closing.append(web.close)
    runtime.closing.append(ports.breaches.close)
    feed = Feed(database, runtime.user_tokens.revocations, runtime.clock)

    async def follow() -> None:
        async with asyncio.TaskGroup() as both:
            both.create_task(feed.run())
            both.create_task(keys_jobs.follow(signing_key, signer, every=settings.signing_key_reload_seconds))

    return service.Parts(
        routers=[
            accounts_api.router(database, ports),
            sessions_api.router(database, ports),
            factors_api.router(database, ports),
            organisations_api.router(database, ports),
            members_api.router(database, ports),
            breakglass_api.router(database, ports),
            devices_api.router(database, ports),
            passwords_api.router(database, ports),
            addresses_api.router(database, ports),
            recovery_api.router(database, ports),
            lifecycle_api.router(database, ports),
            preferences_api.router(database),
            pictures_api.router(database, ports),
            federation_api.router(database, ports, web, Providers(web), public_url=settings.public_url),
            provisioning_api.router(database, ports),
            scim.router(database, ports, public_url=settings.public_url),
            keys_api.router(ports),
        ],
        servicers=[
            rpc.Servicer(
                identity_pb2.DESCRIPTOR,
                identity_pb2_grpc.add_IdentityServiceServicer_to_server,
                IdentityRpc(database, ports),
            ),
            rpc.Servicer(
                participant_pb2.DESCRIPTOR,
                participant_pb2_grpc.add_PrivacyParticipantServiceServicer_to_server,
                ParticipantRpc(database, ports),
            ),
            rpc.Servicer(
                revocation_pb2.DESCRIPTOR,
                revocation_pb2_grpc.add_RevocationServiceServicer_to_server,
                RevocationRpc(feed),
            ),
        ],
        jobs=[
            service.housekeeping(database),
            jobs.expire_challenges(database),
            jobs.expire_devices(database),
            jobs.expire_sessions(database),
            jobs.expire_accesses(database),
            lifecycle_jobs.warn_inactive(database, ports),
            lifecycle_jobs.anonymise_inactive(database, ports),
            lifecycle_jobs.delete_closed(database, ports),
            keys_jobs.rotate(signing_key),
            keys_jobs.replace(signing_key),
            pictures_jobs.sweep_pictures(database, ports),
        ],
        follow=follow,
    )


def _passwords(settings: Settings) -> Passwords:
    return Passwords(
        lambda: settings.pepper.get_secret_value(), threads=settings.hash_threads, queue=settings.hash_queue
    )


SERVICE: service.Service[Settings] = service.Service(
    name="identity",
    title="Identity",
    description="Accounts, organisations, mandatory multi-factor authentication, sessions and roles.",
    settings=Settings,
    metadata=METADATA,
    migrations=ROOM / "migrations",
    wire=wire,
)
