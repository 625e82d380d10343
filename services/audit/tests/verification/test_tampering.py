"""Whatever the database's owner does to the log: how it is found, and by whom."""

from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from lotpro_audit.events import leaf
from lotpro_audit.events.leaf import LEAF_SQL
from lotpro_audit.tree.domain import leaf_hash, root
from lotpro_audit.tree.notes import ORIGIN, Checkpoint
from lotpro_audit.verification import domain
from services.audit.tests.verification.conftest import OURS, THEIRS, Own, Owner, foreign_key

Edit = Callable[[Owner], Awaitable[object]]


async def test_an_untouched_log_verifies_though_a_day_expired_and_part_of_it_is_held(own: Own) -> None:
    report = await own.verify()
    assert report.damages.told == []
    assert report.events > 500
    assert report.expired == 240
    assert report.anchors == 3
    assert report.checkpoints > 10
    assert await own.shows_growth_from(own.held)
    assert await own.shows_growth_from(own.last)


async def test_a_log_that_grows_and_expires_goes_on_verifying(own: Own) -> None:
    await own.grow(own.ports.clock(), batches=2)
    report = await own.verify()
    assert report.damages.told == []


async def test_an_empty_log_verifies(own: Own, owner: Owner) -> None:
    await owner.cut_to(0)
    await owner.do("DELETE FROM org_heads")
    report = await own.verify(anchored=False)
    assert (report.events, report.damages.told) == (0, [])


#: The first, a middle and the last event that still have rows of their own.
FIRST, MIDDLE, LAST = (
    "(SELECT min(seq) FROM events)", "(SELECT size - 50 FROM tree)", "(SELECT max(seq) FROM events)"
)


async def change_a_leaf(owner: Owner) -> None:
    await owner.do(
        "UPDATE events SET rest = convert_to(replace(convert_from(rest, 'UTF8'), 'lag', 'gal'), 'UTF8')"
        f" WHERE seq = {MIDDLE}"
    )


async def change_a_column(owner: Owner) -> None:
    await owner.do(f"UPDATE events SET action = 'inventory:vehicle:view' WHERE seq = {MIDDLE}")


async def change_a_column_and_say_what_it_was(owner: Owner) -> None:
    """Whoever asks what the changed row says is told what it said before, by a function that stands before others."""
    was = await owner.ask(f"SELECT action FROM events WHERE seq = {MIDDLE}")
    await change_a_column(owner)
    await owner.do(
        "CREATE FUNCTION public.convert_to(content text, encoding name) RETURNS bytea STABLE LANGUAGE sql AS $$ SELECT"
        f" pg_catalog.convert_to(replace(content, 'inventory:vehicle:view', '{was}'), encoding) $$"
    )
    name = await owner.ask("SELECT current_database()")
    await owner.do(f"ALTER DATABASE {name} SET search_path = public, pg_catalog")


async def swap_rests(owner: Owner) -> None:
    await owner.do(
        f"UPDATE events e SET rest = o.rest FROM events o WHERE e.seq IN ({MIDDLE}, {LAST})"
        f" AND o.seq IN ({MIDDLE}, {LAST}) AND o.seq <> e.seq"
    )


async def swap_places(owner: Owner) -> None:
    await owner.do(
        f"UPDATE events SET seq = CASE seq WHEN {MIDDLE} THEN {LAST} ELSE {MIDDLE} END WHERE seq IN ({MIDDLE}, {LAST})"
    )


async def swap_whole_rows(owner: Owner) -> None:
    """Columns, leaves and ids change places; only the tree knows the order."""
    await swap_places(owner)
    await owner.do(
        f"UPDATE claims SET seq = CASE seq WHEN {MIDDLE} THEN {LAST} ELSE {MIDDLE} END WHERE seq IN ({MIDDLE}, {LAST})"
    )


def forge(place: str) -> str:
    """A second row like one in the middle, at another place."""
    others = (
        "org_seq, org_id, store_id, actor_id, subject_id, concerned_id, session_id, ip_index, success, action, rest"
    )
    return (
        f"INSERT INTO events (occurred_at, seq, {others}) SELECT occurred_at, {place}, {others} FROM events"
        f" WHERE seq = {MIDDLE}"
    )


async def drop_a_day(owner: Owner) -> int:
    """The day before yesterday's table goes, and nobody says so; answers how many rows it had."""
    [name] = [
        row[0] for row in await owner.rows(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'events'::regclass AND c.relname = 'events_' || to_char($1::date, 'YYYYMMDD')",
            (datetime.now(UTC) - timedelta(days=1, hours=1)).date(),
        )
    ]
    count: int = await owner.ask(f"SELECT count(*) FROM {name}")
    await owner.do(f"ALTER TABLE events DETACH PARTITION {name}")
    return count


async def drop_a_day_and_say_that_it_expired(owner: Owner) -> None:
    """Everything about the expiry fits, but that the log says it."""
    seqs = [row[0] for row in await owner.rows("SELECT seq FROM events ORDER BY seq")]
    size = await owner.ask("SELECT size FROM tree")
    hashes = await owner.leaf_hashes()
    await drop_a_day(owner)
    left = {row[0] for row in await owner.rows("SELECT seq FROM events")}
    gone = [seq for seq in seqs if seq not in left]
    assert gone
    runs = domain.write_runs(domain.runs_of(gone))
    day = (datetime.now(UTC) - timedelta(days=300)).date()
    expiry = {
        "day": day.isoformat(), "count": len(gone), "held": 0, "first": gone[0], "last": gone[-1],
        "root": b64encode(domain.root_of(b"".join(hashes[seq] for seq in gone))).decode(),
        "runs_sha256": sha256(runs).hexdigest(), "held_sha256": domain.digest_of([]), "clause": "x", "policy": "x",
    }
    original = leaf.read(await owner.ask("SELECT leaf FROM expiries LIMIT 1"))
    forged = leaf.write(original._replace(seq=size - 1, expiry=expiry))
    await owner.do(
        "INSERT INTO expiries VALUES ($1, $2, $3, $4, $5)", day, size - 1, forged, runs, domain.write_runs([])
    )


async def drop_a_day_and_add_it_to_one_that_expired(owner: Owner) -> None:
    seqs = [row[0] for row in await owner.rows("SELECT seq FROM events ORDER BY seq")]
    runs = domain.read_runs(await owner.ask("SELECT runs FROM expiries"))
    await drop_a_day(owner)
    left = {row[0] for row in await owner.rows("SELECT seq FROM events")}
    more = domain.runs_of([seq for seq in seqs if seq not in left])
    await owner.do("UPDATE expiries SET runs = $1", domain.write_runs(sorted([*runs, *more])))


async def change_a_held_event(owner: Owner) -> None:
    await owner.do(
        "UPDATE held_events SET leaf = convert_to(replace(convert_from(leaf, 'UTF8'), 'lag', 'gal'), 'UTF8')"
        " WHERE seq = (SELECT max(seq) FROM held_events)"
    )


async def erase_held_events_and_say_so(owner: Owner) -> None:
    """Everything about the erasure fits, but that the log says it."""
    gone = [row[0] for row in await owner.rows("DELETE FROM held_events RETURNING seq")]
    runs = domain.runs_of(sorted(gone))
    size = await owner.ask("SELECT size FROM tree")
    original = leaf.read(await owner.ask("SELECT leaf FROM expiries LIMIT 1"))
    said = {"count": len(gone), "runs_sha256": domain.digest_of(runs)}
    forged = leaf.write(original._replace(seq=size - 1, action="audit:hold:erase", expiry=said))
    await owner.do(
        "INSERT INTO erasures VALUES (uuidv7(), $1, $2, $3)", domain.write_runs(runs), size - 1, forged
    )


async def erase_held_events_as_if_it_were_about_to_be_said(owner: Owner) -> None:
    gone = [row[0] for row in await owner.rows("DELETE FROM held_events RETURNING seq")]
    runs = domain.runs_of(sorted(gone))
    await owner.do("INSERT INTO erasures VALUES (uuidv7(), $1, NULL, NULL)", domain.write_runs(runs))


async def delete_held_events_and_that_they_were_held(owner: Owner) -> None:
    await owner.do("DELETE FROM held_events")
    await owner.do("UPDATE expiries SET held = $1", domain.write_runs([]))


async def recompute_the_tree(owner: Owner) -> None:
    """A row is changed, and every tile and the frontier with them; only signing is not possible."""
    await change_a_column(owner)
    hashes = await owner.leaf_hashes()
    for row in await owner.rows(f"SELECT seq, {LEAF_SQL} FROM events"):
        hashes[row[0]] = leaf_hash(row[1])
    await owner.rewrite_tree(hashes)


async def recompute_and_sign_with_another_key(owner: Owner) -> None:
    await recompute_the_tree(owner)
    key = foreign_key()
    await _sign_anew(owner, key.sign)


async def _sign_anew(owner: Owner, sign: Callable[..., str]) -> None:
    hashes = await owner.leaf_hashes()
    for row in await owner.rows("SELECT size FROM checkpoints"):
        note = sign(Checkpoint(ORIGIN, row[0], root(hashes[: row[0]])))
        await owner.do("UPDATE checkpoints SET note = $2 WHERE size = $1", row[0], note)


def sql(*statements: str) -> Edit:
    """An edit that is a few statements."""

    async def edit(owner: Owner) -> None:
        for statement in statements:
            await owner.do(statement)

    return edit


LEAF, MISSING = "leaf is not the one", "is missing, and no day"
HELD, UNLIKE = "was held when its day went, and is missing", "held of it is not what its leaf says"
SEVERAL, BEYOND = "several in one place", "more than the tree has"

#: What the owner does, and what the daily verification, which sees the database alone, says of it.
EDITS: dict[str, tuple[Edit, str]] = {
    "change a leaf": (change_a_leaf, LEAF),
    "change a column": (change_a_column, LEAF),
    "change a column and say what it was": (change_a_column_and_say_what_it_was, LEAF),
    "leave nothing of a leaf": (
        sql("ALTER TABLE events ALTER rest DROP NOT NULL", f"UPDATE events SET rest = NULL WHERE seq = {MIDDLE}"), LEAF
    ),
    "change who did it": (sql(f"UPDATE events SET actor_id = uuidv7() WHERE seq = {MIDDLE}"), LEAF),
    "change when it was": (
        sql(f"UPDATE events SET occurred_at = occurred_at + interval '1 microsecond' WHERE seq = {MIDDLE}"), LEAF
    ),
    "change an address": (sql(f"UPDATE events SET ip_index = '\\x0102030405060708' WHERE seq = {MIDDLE}"), LEAF),
    "move to another organisation": (
        sql(f"UPDATE events SET org_id = '{THEIRS}' WHERE seq = (SELECT max(seq) FROM events WHERE org_id = '{OURS}')"),
        LEAF,
    ),
    "take out of its organisation": (
        sql(f"UPDATE events SET org_id = NULL WHERE seq = (SELECT max(seq) FROM events WHERE org_id = '{OURS}')"),
        LEAF,
    ),
    "delete the first row": (sql(f"DELETE FROM events WHERE seq = {FIRST}"), MISSING),
    "delete a middle row": (sql(f"DELETE FROM events WHERE seq = {MIDDLE}"), MISSING),
    "delete the last row": (sql(f"DELETE FROM events WHERE seq = {LAST}"), MISSING),
    "delete the last rows": (sql("DELETE FROM events WHERE seq > (SELECT size - 60 FROM tree)"), MISSING),
    "delete an organisation's rows": (sql(f"DELETE FROM events WHERE org_id = '{THEIRS}'"), MISSING),
    "delete everything": (sql("DELETE FROM events"), MISSING),
    "swap the rests of two": (swap_rests, LEAF),
    "swap two places": (swap_places, LEAF),
    "swap two rows whole": (swap_whole_rows, LEAF),
    "forge a row after the last": (sql(forge("(SELECT size FROM tree)")), BEYOND),
    "forge a row before the first": (sql(forge("-1")), BEYOND),
    "forge a row in a place that is taken": (sql(forge("seq")), SEVERAL),
    "drop a day": (drop_a_day, MISSING),
    "drop a day and say that it expired": (drop_a_day_and_say_that_it_expired, "the log does not say so"),
    "drop a day and add it to one that expired": (
        drop_a_day_and_add_it_to_one_that_expired, "the log does not say so"
    ),
    "forget that a day expired": (sql("DELETE FROM expiries"), MISSING),
    "change when a day expired": (sql("UPDATE expiries SET day = day - 1"), "the log does not say so"),
    "delete a held event": (
        sql("DELETE FROM held_events WHERE seq = (SELECT max(seq) FROM held_events)"), HELD
    ),
    "delete all that is held": (sql("DELETE FROM held_events"), HELD),
    "delete what is held and that it was": (
        delete_held_events_and_that_they_were_held, "the log does not say so"
    ),
    "delete what is held and say that it was erased": (
        erase_held_events_and_say_so, "said to have been erased, and the log does not say so"
    ),
    "delete what is held and say that it is about to be said": (
        erase_held_events_as_if_it_were_about_to_be_said, "said to have been erased, and the log does not say so"
    ),
    "move a held event to another place": (
        sql("UPDATE held_events SET seq = 100000 WHERE seq = (SELECT max(seq) FROM held_events)"), HELD
    ),
    "change the day that a held event outlived": (
        sql("UPDATE held_events SET expired_day = expired_day + 1"), "of another day than its own"
    ),
    "change a held event": (change_a_held_event, "held of it is not proven"),
    "change whose a held event is": (sql(f"UPDATE held_events SET org_id = '{THEIRS}'"), UNLIKE),
    "change a held event's proof": (
        sql("UPDATE held_events SET path = substring(path FROM 33)"), "held of it is not proven"
    ),
    "hold what never was": (
        sql("INSERT INTO held_events (seq, occurred_at, org_seq, leaf, path, checkpoint, expired_day)"
            " SELECT 0, now(), 1, 'x', '', '', now()::date ON CONFLICT (seq) DO UPDATE SET leaf = 'x'"),
        UNLIKE,
    ),
    "change a tile": (sql("UPDATE tiles SET hashes = set_byte(hashes, 70, get_byte(hashes, 70) # 1)"
                          " WHERE level = 0 AND index = 0"), "what the log says it was"),
    "change a tile of a live day": (
        sql("UPDATE tiles SET hashes = set_byte(hashes, 70, get_byte(hashes, 70) # 1) WHERE level = 0 AND index = 1"),
        LEAF,
    ),
    "change a tile of a higher level": (
        sql("UPDATE tiles SET hashes = set_byte(hashes, 10, get_byte(hashes, 10) # 1) WHERE level = 1"),
        "a tile of level 1",
    ),
    "remove a tile": (sql("DELETE FROM tiles WHERE level = 0 AND index = 1"), "tile is missing"),
    "remove a tile of a higher level": (sql("DELETE FROM tiles WHERE level = 1"), "a tile of level 1"),
    "add a tile": (sql("INSERT INTO tiles VALUES (2, 0, '')"), BEYOND),
    "recompute the tree": (recompute_the_tree, "not what was signed last"),
    "recompute the tree and sign it with another key": (
        recompute_and_sign_with_another_key, "newest checkpoint is not ours"
    ),
    "forget an id": (sql(f"DELETE FROM claims WHERE seq = {MIDDLE}"), "not among those that were written"),
    "change an id": (sql(f"UPDATE claims SET event_id = uuidv7() WHERE seq = {MIDDLE}"), "not among those"),
    "move an id": (sql(f"UPDATE claims SET seq = seq - 1 WHERE seq = {MIDDLE}"), "several ids"),
    "write an id that no event has": (
        sql("INSERT INTO claims SELECT uuidv7(), size, now() FROM tree"), BEYOND
    ),
    "move an organisation's head on": (sql(f"UPDATE org_heads SET last = last + 1 WHERE org_id = '{OURS}'"), "head"),
    "move an organisation's head back": (sql(f"UPDATE org_heads SET last = last - 1 WHERE org_id = '{OURS}'"), "head"),
    "forget an organisation": (sql(f"DELETE FROM org_heads WHERE org_id = '{THEIRS}'"), "has no head"),
    "make up an organisation": (sql("INSERT INTO org_heads VALUES (uuidv7(), 7)"), "head"),
    "remove the newest checkpoint": (
        sql("DELETE FROM checkpoints WHERE size = (SELECT size FROM tree)"), "not what was signed last"
    ),
    "remove a checkpoint": (
        sql("DELETE FROM checkpoints WHERE size = (SELECT size - 80 FROM tree)"), "checkpoint of this size is missing"
    ),
    "remove all checkpoints": (sql("DELETE FROM checkpoints"), "there is no checkpoint"),
    "change a checkpoint": (
        sql("UPDATE checkpoints SET note = replace(note, 'audit', 'audit2')"
            " WHERE size = (SELECT min(size) FROM checkpoints)"), "is not ours",
    ),
    "exchange a checkpoint": (
        sql("UPDATE checkpoints SET note = (SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1)"
            " WHERE size = (SELECT min(size) FROM checkpoints)"), "is not ours",
    ),
    "change the frontier": (
        sql("UPDATE tree SET frontier = set_byte(frontier, 0, get_byte(frontier, 0) # 1)"), "frontier"
    ),
    "change the size": (sql("UPDATE tree SET size = size - 1"), "frontier"),
}


@pytest.mark.parametrize(("edit", "found"), EDITS.values(), ids=EDITS)
async def test_the_daily_verification_finds_it_in_the_database_alone(
    own: Own, owner: Owner, edit: Edit, found: str
) -> None:
    await edit(owner)
    report = await own.verify(anchored=False)
    assert report.damages.count
    assert any(found in damage.what for damage in report.damages.told), report.damages.told


async def test_every_damage_is_counted_and_the_first_ones_told(own: Own, owner: Owner) -> None:
    await owner.do("UPDATE events SET success = NOT success")
    report = await own.verify(anchored=False)
    assert report.damages.count == await owner.ask("SELECT count(*) FROM events")
    assert len(report.damages.told) == 5


async def roll_back(owner: Owner) -> None:
    await owner.cut_to(await owner.ask("SELECT max(size) FROM checkpoints WHERE size < (SELECT size - 100 FROM tree)"))


async def test_a_tail_that_is_cut_off_consistently_is_found_from_outside(own: Own, owner: Owner) -> None:
    await roll_back(owner)
    assert (await own.verify(anchored=False)).damages.told == []
    assert await own.shows_growth_from(own.held)
    assert not await own.shows_growth_from(own.last)
    [damage] = (await own.verify()).damages.told
    assert damage.what == "the log is behind an anchor"


async def test_a_restored_backup_is_found_from_outside(restored: Own) -> None:
    assert (await restored.verify(anchored=False)).damages.told == []
    assert await restored.shows_growth_from(restored.held)
    assert not await restored.shows_growth_from(restored.last)
    [damage] = (await restored.verify()).damages.told
    assert damage.what == "the log is behind an anchor"


async def test_a_restored_backup_that_grew_beyond_what_was_lost_is_found_from_outside(restored: Own) -> None:
    """The log went on without a look at its anchors; it is longer than it ever was, and another one."""
    await restored.unanchored().grow(restored.ports.clock(), batches=12)
    assert (await restored.verify(anchored=False)).damages.told == []
    assert await restored.shows_growth_from(restored.held)
    assert not await restored.shows_growth_from(restored.last)
    assert [damage.what for damage in (await restored.verify()).damages.told] == [
        "the log is not what an anchor says it was"
    ]


async def test_a_log_that_is_written_anew_even_with_the_right_key_is_found_from_outside(
    own: Own, owner: Owner
) -> None:
    await recompute_the_tree(owner)
    await _sign_anew(owner, own.ports.checkpoint_key().sign)
    assert (await own.verify(anchored=False)).damages.told == []
    assert not await own.shows_growth_from(own.last)
    assert {damage.what for damage in (await own.verify()).damages.told} == {
        "the log is not what an anchor says it was"
    }


async def test_a_new_log_with_another_key_in_its_place_is_found(own: Own, owner: Owner) -> None:
    await owner.cut_to(0)
    await owner.do("DELETE FROM org_heads")
    key = foreign_key()
    blind = own.unanchored()
    forger = replace(blind, ports=replace(blind.ports, checkpoint_key=lambda: key))
    await forger.grow(own.ports.clock(), batches=20)
    assert (await forger.verify(anchored=False)).damages.told == []
    found = {damage.what for damage in (await own.verify(anchored=False)).damages.told}
    assert "the newest checkpoint is not ours" in found
    assert not await own.shows_growth_from(own.held)
    assert {damage.what for damage in (await own.verify()).damages.told} >= {
        "the log is not what an anchor says it was"
    }
