"""The HTTP door to trusted devices. Trust begins with a sign-in that asks for it."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from lotpro_identity.devices import service
from lotpro_identity.origins.browsers import browser_of
from lotpro_identity.ports import Ports
from lotpro_kit import api, errors
from lotpro_kit.api import Answer
from lotpro_kit.db import Database


class DeviceAnswer(Answer):
    """A device that signs in without a second factor."""

    id: UUID
    user_agent: str
    browser: str = Field(description="As the user agent tells, for example `Firefox 142`.")
    os: str = Field(description="As the user agent tells, for example `Windows 10`.")
    ip: str
    place: str | None = Field(description="About where the address is; empty when that is not known.")
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime


class Devices(Answer):
    """One's own trusted devices, newest first."""

    items: list[DeviceAnswer]


class Revoked(Answer):
    """How many devices are trusted no more."""

    devices: int


def router(database: Database, ports: Ports) -> APIRouter:
    """Routes of trusted devices."""
    routes = APIRouter(prefix="/api/identity/v1", tags=["devices"])

    @routes.get("/devices")
    async def list_devices(caller: api.Signed) -> Devices:
        """The devices one trusts."""
        async with database.begin(caller) as session:
            found = await service.list_own(session, ports, account_id=api.user_id(caller))
        return Devices(
            items=[
                DeviceAnswer(
                    id=device.id, user_agent=device.user_agent, ip=device.ip, created_at=device.created_at,
                    last_used_at=device.last_used_at, expires_at=device.created_at + service.trust_period(),
                    browser=browser_of(device.user_agent).name, os=browser_of(device.user_agent).os,
                    place=ports.places.name_of(device.ip),
                )
                for device in found
            ]
        )

    @routes.delete("/devices/{device_id}", status_code=204, responses=api.problems(errors.NotFound))
    async def revoke_device(device_id: str, caller: api.Signed) -> Response:
        """Trust a device no more: there too a second factor is asked for from now on."""
        async with database.begin(caller) as session:
            await service.revoke_own(
                session, caller, ports, account_id=api.user_id(caller), device_id=api.path_id(device_id)
            )
        return Response(status_code=204)

    @routes.post("/devices:revoke-all")
    async def revoke_all_devices(caller: api.Signed) -> Revoked:
        """Trust no device any more."""
        async with database.begin(caller) as session:
            ended = await service.revoke_all(session, caller, ports, account_id=api.user_id(caller))
        return Revoked(devices=ended)

    return routes
