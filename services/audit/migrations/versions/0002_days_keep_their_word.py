"""Days are attached without stopping readers or writers, and no role that serves requests can drop one early."""

import sqlalchemy as sa
from alembic import op

import lotpro_policy

revision = "0002"
down_revision = "0001"

#: Attaching an empty table takes a weaker lock than CREATE TABLE ... PARTITION OF does: nobody waits for it.
_MAKE_DAY = """
CREATE OR REPLACE FUNCTION audit_make_day(day date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '4s' AS $$
DECLARE name text := 'events_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF to_regclass('public.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('audit_days'));
    IF to_regclass('public.' || name) IS NULL THEN
        EXECUTE format('CREATE TABLE public.%I (LIKE public.events INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', name);
        EXECUTE format(
            'CREATE TRIGGER written_once_truncate BEFORE TRUNCATE ON public.%I EXECUTE FUNCTION public.audit_refuse()',
            name);
        EXECUTE format('ALTER TABLE public.events ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)', name,
            day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$
"""

#: The period is the policy's (retention.security_logs); were it to change, a migration has to say so here as well.
_DROP_DAY = """
CREATE OR REPLACE FUNCTION audit_drop_day(day date) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '4s' AS $$
DECLARE name text := 'events_' || to_char(day, 'YYYYMMDD'); held bigint;
BEGIN
    IF public.lotpro_scope() <> 'retention' THEN
        RAISE EXCEPTION 'only retention drops days';
    END IF;
    IF (day + 1)::timestamp AT TIME ZONE 'UTC' > now() - make_interval(days => {days}) THEN
        RAISE EXCEPTION 'the day is still to be kept';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('audit_days'));
    IF to_regclass('public.' || name) IS NULL THEN
        RETURN 0;
    END IF;
    EXECUTE format('SELECT count(*) FROM public.%I', name) INTO held;
    EXECUTE format('ALTER TABLE public.events DETACH PARTITION public.%I', name);
    EXECUTE format('DROP TABLE public.%I', name);
    RETURN held;
END $$
"""


def upgrade() -> None:
    days = lotpro_policy.policy().retention["security_logs"].duration.days
    for statement in (_MAKE_DAY, _DROP_DAY.format(days=days)):
        op.execute(sa.text(statement.replace(":", "\\:")))
    op.execute(
        sa.text("CREATE TRIGGER written_once_truncate BEFORE TRUNCATE ON events EXECUTE FUNCTION audit_refuse()")
    )
