"""The walk through a log, by examples and against slow oracles; what happens meanwhile does not disturb it."""

import asyncio
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lotpro_audit.events import jobs as events_jobs
from lotpro_audit.events.leaf import INDEXED_SQL, microseconds
from lotpro_audit.tree.domain import TILE_WIDTH, grow_tiles, leaf_hash
from lotpro_audit.verification import domain, repository, walk
from lotpro_audit.verification.walk import Damages, Expired, Expiry
from lotpro_kit import testing
from lotpro_kit.caller import system
from lotpro_kit.db import fetch
from lotpro_kit.jobs import Run
from services.audit.tests.verification.conftest import Own, Owner, act

PLACES = st.sets(st.integers(0, 60))


@given(st.lists(PLACES, max_size=3), st.integers(0, 70), st.integers(0, 70))
def test_expired_places_are_counted_as_one_would_on_fingers(days: list[set[int]], first: int, end: int) -> None:
    seen: set[int] = set()
    expiries = []
    for day in days:
        fresh = sorted(day - seen)
        seen |= day
        if fresh:
            expiries.append(Expiry("", domain.runs_of(fresh), b""))
    expired = Expired(expiries)
    assert expired.between(min(first, end), max(first, end)) == len(
        [seq for seq in seen if min(first, end) <= seq < max(first, end)]
    )
    assert expired.covers(first) == (first in seen)


@given(st.integers(1, 3 * TILE_WIDTH))
def test_full_tiles_are_raised_as_the_tree_grows_them(size: int) -> None:
    hashes = [leaf_hash(str(number).encode()) for number in range(size)]
    levels: dict[int, bytes] = {}
    for place, content in grow_tiles(0, hashes, {}).items():
        levels[place.level] = levels.get(place.level, b"") + content
    full = b"".join(hashes[: size // TILE_WIDTH * TILE_WIDTH])
    assert walk.raised(full) == levels.get(1, b"")


@given(st.integers(1, 5 * TILE_WIDTH), st.sets(st.integers(0, 4)), st.integers(0, 40))
def test_tiles_are_joined_as_far_as_the_tree_goes_and_what_is_missing_is_told(
    end: int, missing: set[int], grown: int
) -> None:
    """A tile at the edge may be longer than the tree was; one that is missing leaves room for itself."""
    total = min(-(-end // TILE_WIDTH) * TILE_WIDTH, end + grown)
    whole = b"".join(sha256(bytes([n % 256])).digest() for n in range(total))
    tiles = {n: whole[n * walk.TILE_BYTES : (n + 1) * walk.TILE_BYTES] for n in range(-(-total // TILE_WIDTH))}
    there = {number: tile for number, tile in tiles.items() if number not in missing}
    found, wrong = walk.joined(list(there), list(there.values()), first=0, end=end)
    assert len(found) == end * 32
    assert wrong == sorted(missing & tiles.keys())
    if not wrong:
        assert found == whole[: end * 32]


@given(st.lists(st.integers(), max_size=100), st.integers(2, 40))
def test_a_sample_has_the_first_and_the_last_and_no_more_than_wanted(items: list[int], most: int) -> None:
    chosen = domain.sample(items, most)
    assert len(chosen) == min(len(items), most)
    if items:
        assert (chosen[0], chosen[-1]) == (items[0], items[-1])


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(1, 9))
def test_stretches_follow_each_other_through_the_whole_log(begin: int, size: int, tiles: int) -> None:
    found = list(walk.stretches(begin, size, tiles * TILE_WIDTH))
    assert [seq for first, end in found for seq in range(first, end)] == list(range(begin, size))


def test_each_kind_of_damage_is_told_a_few_times_and_counted_always() -> None:
    damages = Damages()
    for seq in range(100):
        damages.add(seq, "one thing")
    damages.add(100, "another", count=7)
    assert damages.count == 107
    assert [damage.seq for damage in damages.told] == [0, 1, 2, 3, 4, 100]


async def test_the_database_writes_every_moment_to_the_microsecond(own: Own) -> None:
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    moments = [begin + timedelta(days=n * 3, microseconds=n * 99_991 + n % 7) for n in range(10_000)]
    says = INDEXED_SQL.replace("occurred_at", "at")
    async with own.database.begin(system()) as session:
        rows = await fetch(
            session,
            f"SELECT at, {says} AS says FROM unnest($1::timestamptz[]) AS at, (SELECT 1 AS seq, 2 AS org_seq,"
            " NULL::uuid AS org_id, NULL::uuid AS store_id, 'a:b:c' AS action, true AS success, NULL::uuid AS actor_id,"
            " NULL::uuid AS subject_id, NULL::uuid AS concerned_id, NULL::uuid AS session_id, NULL::bytea AS ip_index"
            ") AS rest", moments,
        )
    assert len(rows) == len(moments)
    for row in rows:
        assert row["says"] == (
            f'{{"seq":1,"org_seq":2,"at":{microseconds(row["at"])},"action":"a:b:c","ok":true,"id":"'
        )


async def test_a_log_that_grows_while_it_is_verified_verifies(own: Own) -> None:
    over = asyncio.Event()

    async def growing() -> None:
        while not over.is_set():
            await own.grow(own.ports.clock(), batches=1)

    task = asyncio.create_task(growing())
    for _ in range(5):
        assert (await own.verify()).damages.told == []
    over.set()
    await task


async def test_a_day_that_goes_while_the_log_is_verified_is_no_damage(own: Own, owner: Owner) -> None:
    """Nothing was known of it when the walk began; the rows are gone when the walk comes by them."""
    clock = own.ports.clock
    assert isinstance(clock, testing.Clock)
    # By the log's own clock: the day may have changed since the log was made, and with it the one that went before.
    now = clock()
    clock.now = old = now - timedelta(days=181)
    await own.unanchored().grow(old)
    clock.now = now
    damages = Damages()
    size = await owner.ask("SELECT size FROM tree")
    going = walk.Walk(damages, forgotten_us=0)
    going.expire([])
    async with own.unanchored().leading():
        done = await events_jobs.expire_events(own.database, own.ports).work(Run(as_of=now))
    assert done["events"] == 240
    async with repository.open_readers(own.database, whole=True) as readers:
        [((first, end), found)] = [stretch async for stretch in readers.log(size)]
    assert (first, end) == (0, size)
    assert len(found.rows.seqs) < size
    assert not going.accounts_for(0, size, found.rows.seqs)
    assert (await own.unanchored().verify()).damages.told == []


async def test_a_walk_that_is_left_in_the_middle_leaves_nothing_behind(
    own: Own, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "WIDTH", TILE_WIDTH)
    size = await owner.ask("SELECT size FROM tree")

    async def leave() -> None:
        async with repository.open_readers(own.database, whole=True) as readers:
            async for _ in readers.log(size):
                raise KeyError

    async with asyncio.timeout(repository.CLOSE_SECONDS):
        with pytest.raises(KeyError):
            await leave()

    async def gone() -> bool:
        reading = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%AS rests%' AND pid <> pg_backend_pid()"
        return bool(await owner.ask(reading) == 0)

    assert await testing.eventually(gone)


@pytest.mark.parametrize("size", [1, TILE_WIDTH - 1, TILE_WIDTH, TILE_WIDTH + 1, 2 * TILE_WIDTH])
async def test_a_log_of_any_size_verifies(own: Own, owner: Owner, size: int) -> None:
    await owner.cut_to(0)
    await owner.do("DELETE FROM org_heads")
    log = own.unanchored()
    sequencer = log.sequencer
    async with sequencer.lead():
        for begin in range(0, size, 64):
            await sequencer.append([act(own.ports.clock()) for _ in range(begin, min(begin + 64, size))])
    report = await log.verify()
    assert (report.events, report.damages.told) == (size, [])
