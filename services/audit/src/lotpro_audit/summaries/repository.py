"""SQL of summaries. Each query reads one small index, which holds nothing but what is counted here."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from lotpro_kit.db import Session, fetch

Row: TypeAlias = Any

#: The very conditions of the indexes `ix_events_suspicious` and `ix_events_mfa_failed`: without them every row would be
#: read.
_SUSPICIOUS = (
    "((action = 'identity:session:create' AND NOT success) OR action IN ('identity:account:lock',"
    " 'identity:session:refresh_reuse', 'identity:session:suspicious', 'identity:device:trust'))"
)
_MFA_FAILED = (
    "action = 'identity:session:create' AND NOT success"
    " AND position('\"factor\":\"password\"'::bytea IN rest) = 0 AND position('\"factor\":\"'::bytea IN rest) > 0"
)
_REACH = (
    " org_id = $1 AND occurred_at >= $2 AND occurred_at < $3 AND ($4::uuid[] IS NULL OR store_id = ANY($4::uuid[]))"
)
_DAY = "(occurred_at AT TIME ZONE 'UTC')::date"

#: Rows come from the index by their day, so that what is distinct in a day is sorted in small heaps. Counting first by
#: all that differs, to sort less, takes twice the time.
DAYS_QUERY = f"""
SELECT {_DAY} AS day,
    count(*) FILTER (WHERE action = 'identity:session:create')::int AS failed_sign_ins,
    count(*) FILTER (WHERE action = 'identity:account:lock')::int AS lockouts,
    count(*) FILTER (WHERE action = 'identity:session:refresh_reuse')::int AS refresh_reuses,
    count(*) FILTER (WHERE action = 'identity:session:suspicious')::int AS suspicious_findings,
    count(*) FILTER (WHERE action = 'identity:device:trust')::int AS new_devices,
    count(DISTINCT actor_id)::int AS actors, count(DISTINCT ip_index)::int AS addresses
FROM events WHERE {_REACH} AND {_SUSPICIOUS} GROUP BY 1
"""  # noqa: S608 - our own constants
ACTORS_QUERY = f"""
SELECT actor_id, count(*)::int AS count FROM events WHERE {_REACH} AND {_SUSPICIOUS} AND actor_id IS NOT NULL
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $5
"""  # noqa: S608 - our own constants
MFA_QUERY = f"SELECT {_DAY} AS day, count(*)::int AS count FROM events WHERE {_REACH} AND {_MFA_FAILED} GROUP BY 1"  # noqa: S608 - our own constants


async def days(
    session: Session, *, org_id: UUID, stores: Sequence[UUID] | None, since: datetime, until: datetime
) -> Sequence[Row]:
    """A row (`day` and its counts) of each day that has anything to count."""
    return await fetch(session, DAYS_QUERY, org_id, since, until, stores)


async def top_actors(
    session: Session, *, org_id: UUID, stores: Sequence[UUID] | None, since: datetime, until: datetime, limit: int
) -> Sequence[Row]:
    """The people (`actor_id`, `count`) with the most acts, the most first."""
    return await fetch(session, ACTORS_QUERY, org_id, since, until, stores, limit)


async def mfa_failures(
    session: Session, *, org_id: UUID, stores: Sequence[UUID] | None, since: datetime, until: datetime
) -> Sequence[Row]:
    """Rows of days (`day`, `count`): sign-ins that failed at something else than the password."""
    return await fetch(session, MFA_QUERY, org_id, since, until, stores)
