"""Ten tries of a pair in any quarter of an hour: its window ends a quarter of an hour after the last one."""

from alembic import op

revision = "0055"
down_revision = "0060"


def upgrade() -> None:
    op.execute(_RESERVE_TRIES)


#: As in 0003, but for one thing. A window that ends a quarter of an hour after the first try lets twice as many pass
#: around its end. What is slowed, a pair of one who tries and whom, begins anew only after that long without a try.
#: For an account from everywhere, and for an address behind which a whole town may be, it is never so quiet.
_RESERVE_TRIES = """
CREATE OR REPLACE FUNCTION reserve_tries(
    keys bytea[], most integer[], slowed boolean[], moment timestamptz, span interval, free integer
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    entry record;
    began timestamptz;
    before timestamptz;
    tries integer;
BEGIN
    FOR entry IN SELECT * FROM unnest(keys, most, slowed) AS given (key, most, slowed) ORDER BY 1 LOOP
        INSERT INTO attempts AS tried (key, window_started_at, last_at, count) VALUES (entry.key, moment, moment, 1)
        ON CONFLICT (key) DO UPDATE SET
            window_started_at = CASE
                WHEN (CASE WHEN entry.slowed THEN tried.last_at ELSE tried.window_started_at END) <= moment - span
                THEN moment ELSE tried.window_started_at END,
            last_at = greatest(tried.last_at, moment),
            count = CASE
                WHEN (CASE WHEN entry.slowed THEN tried.last_at ELSE tried.window_started_at END) <= moment - span
                THEN 1 ELSE tried.count + 1 END
        RETURNING new.window_started_at, old.last_at, new.count INTO began, before, tries;
        IF tries > entry.most THEN
            RAISE EXCEPTION USING ERRCODE = 'LT429', MESSAGE = ceil(extract(
                epoch FROM (CASE WHEN entry.slowed THEN before ELSE began END) + span - moment))::integer::text;
        END IF;
        IF entry.slowed AND tries > free AND moment < before + make_interval(secs => 2 ^ (tries - free - 1)) THEN
            RAISE EXCEPTION USING ERRCODE = 'LT429', MESSAGE = (2 ^ (tries - free - 1))::integer::text;
        END IF;
    END LOOP;
END $$
"""
