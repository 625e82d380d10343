"""The HTTP door to summaries."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from lotpro_audit.ports import Ports
from lotpro_audit.summaries import schemas, service
from lotpro_audit.summaries.domain import PeriodImpossible
from lotpro_kit import api, errors
from lotpro_kit.caller import Caller
from lotpro_kit.db import Database

MaySummarise = Annotated[Caller, Depends(api.requires("audit:event:summarise"))]
First = Annotated[
    date | None, Query(description="UTC. Without it, 30 days that end with the last.", examples=["2026-11-01"])
]
Last = Annotated[date | None, Query(description="UTC, included. Without it, today.", examples=["2026-11-30"])]


def router(database: Database, ports: Ports) -> APIRouter:
    """Routes of summaries."""
    routes = APIRouter(prefix="/api/audit/v1", tags=["events"])

    @routes.get("/events:summarise", responses=api.problems(errors.Forbidden, PeriodImpossible))
    async def summarise_events(caller: MaySummarise, first: First = None, last: Last = None) -> schemas.SummaryAnswer:
        """What looks like an attack, day by day, 90 days at most. Looking is logged too.

        Sign-ins belong to no store: who answers for stores only sees what was done in these.
        """
        async with database.begin(caller) as session:
            found = await service.summarise_events(session, caller, ports, first=first, last=last)
        return schemas.summary(found)

    return routes
