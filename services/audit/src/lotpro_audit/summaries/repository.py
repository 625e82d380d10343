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
    " AND position('\"factor\":\"password\"'::bytea IN leaf) = 0 AND position('\"factor\":\"'::bytea IN leaf) > 0"
)
_REACH = (
    " org_id = $1 AND occurred_at >= $2 AND occurred_at < $3 AND ($4::uuid[] IS NULL OR store_id = ANY($4::uuid[]))"
)
_DAY = "(occurred_at AT TIME ZONE 'UTC')::date"

SUMMARY = f"""
WITH found AS MATERIALIZED (
    SELECT {_DAY} AS day, action, actor_id, ip_index, count(*) AS count
    FROM events WHERE {_REACH} AND {_SUSPICIOUS} GROUP BY 1, 2, 3, 4
)
SELECT day, NULL::uuid AS actor_id,
    coalesce(sum(count) FILTER (WHERE action = 'identity:session:create'), 0)::int AS failed_sign_ins,
    coalesce(sum(count) FILTER (WHERE action = 'identity:account:lock'), 0)::int AS lockouts,
    coalesce(sum(count) FILTER (WHERE action = 'identity:session:refresh_reuse'), 0)::int AS refresh_reuses,
    coalesce(sum(count) FILTER (WHERE action = 'identity:session:suspicious'), 0)::int AS suspicious_findings,
    coalesce(sum(count) FILTER (WHERE action = 'identity:device:trust'), 0)::int AS new_devices,
    count(DISTINCT actor_id)::int AS actors, count(DISTINCT ip_index)::int AS addresses, 0 AS total
FROM found GROUP BY day
UNION ALL (
    SELECT NULL, actor_id, 0, 0, 0, 0, 0, 0, 0, sum(count)::int FROM found WHERE actor_id IS NOT NULL
    GROUP BY actor_id ORDER BY sum(count) DESC, actor_id LIMIT $5
)
"""  # noqa: S608 - our own constants
MFA = f"SELECT {_DAY} AS day, count(*)::int AS count FROM events WHERE {_REACH} AND {_MFA_FAILED} GROUP BY 1"  # noqa: S608 - our own constants


async def suspicious(
    session: Session, *, org_id: UUID, stores: Sequence[UUID] | None, since: datetime, until: datetime, top: int
) -> Sequence[Row]:
    """Rows of days (`day` and its counts) and of the `top` people (`actor_id`, `total`), the most acts first."""
    return await fetch(session, SUMMARY, org_id, since, until, stores, top)


async def mfa_failures(
    session: Session, *, org_id: UUID, stores: Sequence[UUID] | None, since: datetime, until: datetime
) -> Sequence[Row]:
    """Rows of days (`day`, `count`): sign-ins that failed at something else than the password."""
    return await fetch(session, MFA, org_id, since, until, stores)
