"""Checkpoints outside of the database: kept, held against what begins to lead, and given up only by a person."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from lotpro_audit.events import leaf
from lotpro_audit.events.leaf import LEAF_SQL
from lotpro_audit.sequencer import consumers
from lotpro_audit.sequencer import service as sequencer
from lotpro_audit.tree import domain, notes
from lotpro_audit.tree import jobs as tree_jobs
from lotpro_audit.tree.anchors import Anchor, Anchors, Restoration
from lotpro_audit.tree.notes import NoteRefused, SigningKey
from lotpro_audit.tree.service import LogDamaged
from lotpro_audit.verification import jobs
from lotpro_kit import testing
from lotpro_kit.blobs import BlobExists, Blobs
from lotpro_kit.caller import system
from lotpro_kit.jobs import Counts, Run
from services.audit.tests.verification.conftest import OURS, Own, Owner, act, foreign_key


@pytest.fixture
async def away(own: Own) -> AsyncIterator[Anchors]:
    """Anchors in a storage account that does not answer."""
    blobs = Blobs("https://localhost:1", container="audit", credential=own.runtime.credential)
    yield Anchors(blobs)
    await blobs.close()


@pytest.fixture
def empty(own: Own) -> Anchors:
    """A folder without anchors."""
    return own.anchors_in(uuid4().hex)


def key_of(own: Own) -> SigningKey:
    return own.ports.checkpoint_key()


def signed(own: Own, size: int, root: bytes = b"x" * 32) -> str:
    return key_of(own).sign(notes.Checkpoint(notes.ORIGIN, size, root))


async def said(own: Own, action: str) -> list[dict[str, Any]]:
    """The security events of an action that wait to be sent."""
    return [body for _, body in await testing.events(own.database, containing=action)]


async def test_the_newest_anchor_is_the_largest(own: Own, empty: Anchors) -> None:
    key = key_of(own).verifier
    assert await empty.newest(key) == Anchor(0, 0, domain.EMPTY_ROOT)
    for size in (9, 10, 2**62, 11):
        await empty.add(signed(own, size), size=size, era=0)
    assert (await empty.newest(key)).size == 2**62
    assert [place.size for place in await empty.binding(key)] == [9, 10, 11, 2**62]


async def test_an_anchor_is_never_replaced(own: Own, empty: Anchors) -> None:
    await empty.add(signed(own, 7), size=7, era=0)
    await empty.add(signed(own, 7, b"y" * 32), size=7, era=0)
    assert (await empty.newest(key_of(own).verifier)).root == b"x" * 32


async def test_what_another_key_signed_or_another_name_has_is_no_anchor(own: Own) -> None:
    key = key_of(own).verifier
    forged, misnamed = own.anchors_in(uuid4().hex), own.anchors_in(uuid4().hex)
    await forged.add(foreign_key().sign(notes.Checkpoint(notes.ORIGIN, 7, b"x" * 32)), size=7, era=0)
    await misnamed.add(signed(own, 7), size=8, era=0)
    for folder in (forged, misnamed):
        with pytest.raises(NoteRefused):
            await folder.newest(key)
        with pytest.raises(LogDamaged, match="not ours"):
            await tree_jobs.anchor(own.database, replace(own.ports, anchors=folder))
        with pytest.raises(LogDamaged, match="not ours"):
            async with replace(own, ports=replace(own.ports, anchors=folder)).leading():
                pass


async def test_an_era_begins_with_what_was_taken_and_binds_what_came_before_its_fork(
    own: Own, empty: Anchors
) -> None:
    key = key_of(own)
    for size in (10, 20, 30):
        await empty.add(signed(own, size), size=size, era=0)
    await empty.restore(Restoration(1, 25, b"r" * 32, fork=20, lost=30), key)
    assert await empty.newest(key.verifier) == Anchor(1, 25, b"r" * 32)
    await empty.add(signed(own, 28), size=28, era=1)
    assert (await empty.newest(key.verifier)).size == 28
    assert [place.size for place in await empty.binding(key.verifier)] == [10, 20, 25, 28]
    with pytest.raises(BlobExists):
        await empty.restore(Restoration(1, 5, b"s" * 32, fork=0, lost=28), key)
    await empty.restore(Restoration(2, 12, b"t" * 32, fork=10, lost=28), key)
    assert [place.size for place in await empty.binding(key.verifier)] == [10, 12]


@pytest.mark.parametrize("spoiled", ["", "a\nb\n", "{}\nrestored\n1\n2\nAAAA\n3\n", "{}\nrestored\n1\nx\nAAAA\n3\n4\n"])
def test_a_note_of_something_else_is_no_restoration(spoiled: str) -> None:
    made = Restoration(1, 2, b"r" * 32, fork=3, lost=4)
    assert Restoration.read(made.text()) == made
    with pytest.raises(NoteRefused):
        Restoration.read(spoiled.format(notes.ORIGIN))


async def test_a_checkpoint_is_anchored_once_and_only_when_it_is_new(own: Own, empty: Anchors) -> None:
    ports = replace(own.ports, anchors=empty)
    assert await tree_jobs.anchor(own.database, ports)
    assert not await tree_jobs.anchor(own.database, ports)
    await own.grow(own.ports.clock(), batches=1)
    assert await tree_jobs.anchor(own.database, ports)
    assert len(await empty.binding(key_of(own).verifier)) == 2


async def test_whoever_leads_anchors_at_its_beginning_and_at_its_end(own: Own, empty: Anchors) -> None:
    ports, key = replace(own.ports, anchors=empty), key_of(own).verifier
    log = replace(own, ports=ports)
    writer = log.sequencer
    async with consumers.consumer(own.database, writer, ports).turn():
        await testing.eventually(lambda: empty.binding(key))
        await writer.append([act(own.ports.clock())])
        assert len(await empty.binding(key)) == 1
    assert len(await empty.binding(key)) == 2


async def test_storage_that_is_away_stops_nobody(own: Own, away: Anchors) -> None:
    ports = replace(own.ports, anchors=away)
    writer = replace(own, ports=ports).sequencer
    async with consumers.consumer(own.database, writer, ports).turn():
        before = (await replace(own, ports=ports).verify()).events
        await writer.append([act(own.ports.clock())])
    report = await replace(own, ports=ports).verify()
    assert (report.events, report.anchors, report.damages.told) == (before + 1, 0, [])


async def test_a_restored_backup_is_not_led(restored: Own) -> None:
    with pytest.raises(LogDamaged, match="behind its newest anchor"):
        await restored.grow(restored.ports.clock())
    with pytest.raises(LogDamaged, match="behind its newest anchor"):
        await tree_jobs.anchor(restored.database, restored.ports)


async def test_a_restored_backup_that_is_led_while_storage_is_away_is_found_when_it_is_back(restored: Own) -> None:
    await restored.unanchored().grow(restored.ports.clock(), batches=12)
    with pytest.raises(LogDamaged, match="not what its newest anchor says"):
        await tree_jobs.keep_anchored(restored.database, restored.ports)


async def test_a_log_whose_end_was_cut_off_is_not_led(own: Own, owner: Owner) -> None:
    await owner.cut_to(await owner.ask("SELECT size - 40 FROM tree"))
    with pytest.raises(LogDamaged, match="behind its newest anchor"):
        await own.grow(own.ports.clock())


async def test_tiles_that_are_not_the_trees_are_not_led(own: Own, owner: Owner) -> None:
    await owner.do("UPDATE tiles SET hashes = set_byte(hashes, 1, get_byte(hashes, 1) # 1) WHERE level = 1")
    with pytest.raises(LogDamaged, match="not what its tiles say"):
        await own.grow(own.ports.clock())


async def test_whoever_would_lead_a_damaged_log_sounds_the_alarm_once(restored: Own) -> None:
    consumer = consumers.consumer(restored.database, restored.sequencer, restored.ports)
    waiting = asyncio.create_task(turn(consumer))
    await testing.eventually(lambda: said(restored, "audit:log:damage"))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    [event] = await said(restored, "audit:log:damage")
    assert event["outcome"] == "OUTCOME_FAILURE"


async def turn(consumer: Any) -> None:
    async with consumer.turn():
        pytest.fail("a damaged log is led")


async def accept(own: Own, *, dry_run: bool = False) -> Counts:
    job = tree_jobs.accept_restored_log(own.database, own.ports)
    assert job.schedule == "", "only people start it"
    return await job.work(Run(as_of=own.ports.clock(), dry_run=dry_run))


async def test_a_log_that_fits_its_anchors_needs_no_acceptance(own: Own) -> None:
    assert (await accept(own))["accepted"] == 0
    assert (await own.ports.anchors.newest(key_of(own).verifier)).era == 0


@pytest.fixture
async def alone(restored: Own, empty_copy: Anchors) -> Own:
    """A restored log whose anchors are a copy for this test: what is accepted stays."""
    return replace(restored, ports=replace(restored.ports, anchors=empty_copy))


@pytest.fixture
async def empty_copy(restored: Own) -> Anchors:
    key, copy = key_of(restored).verifier, restored.anchors_in(uuid4().hex)
    for place in await restored.ports.anchors.binding(key):
        anchor = await restored.ports.anchors.at(place, key)
        await copy.add(signed(restored, anchor.size, anchor.root), size=anchor.size, era=0)
    return copy


async def test_a_restored_log_is_led_again_after_a_person_took_it_as_it_is_and_says_so(alone: Own) -> None:
    lost = await accept(alone, dry_run=True)
    assert (lost["accepted"], lost["lost"]) == (0, 280)
    with pytest.raises(LogDamaged):
        await alone.grow(alone.ports.clock())
    assert (await accept(alone))["accepted"] == 1
    async with alone.leading():
        await testing.eventually(lambda: logged(alone))
    assert await logged(alone) == [tree_jobs.ACCEPT]
    assert (await accept(alone))["accepted"] == 0
    await tree_jobs.anchor(alone.database, alone.ports)
    assert (await alone.ports.anchors.newest(key_of(alone).verifier)).era == 1
    assert (await alone.verify()).damages.told == []
    # What was lost stays lost, and whoever has its checkpoints can show it.
    assert not await alone.shows_growth_from(alone.last)


async def logged(own: Own) -> list[str]:
    """What the log says was accepted."""
    async with own.database.begin(system(scope="verification")) as session:
        found = await session.execute(
            text(f"SELECT {LEAF_SQL} AS leaf FROM events WHERE action = :action"), {"action": tree_jobs.ACCEPT}
        )
        return [leaf.read(content).action for content in found.scalars()]


async def test_who_died_while_accepting_may_accept_again_and_the_log_says_it_once(alone: Own) -> None:
    """The event waits already; the note beside the anchors was not made."""
    async with alone.database.begin(system()) as session:
        await sequencer.leave(session, alone.ports, tree_jobs.accepted(1, alone.ports))
    with pytest.raises(LogDamaged):
        await alone.grow(alone.ports.clock())
    assert (await accept(alone))["accepted"] == 1
    async with alone.leading():
        await testing.eventually(lambda: logged(alone))
    assert len(await logged(alone)) == 1


async def test_accepting_a_restored_log_lets_nobody_rewrite_what_it_has_in_common(alone: Own) -> None:
    await accept(alone)
    key = key_of(alone).verifier
    forks = [place.size for place in await alone.ports.anchors.binding(key)]
    assert forks == sorted(forks)
    assert max(forks) == (await alone.ports.anchors.newest(key)).size
    assert len(forks) >= 3


async def work(own: Own, *, dry_run: bool = False) -> Counts:
    return await jobs.verify_log(own.database, own.ports).work(Run(as_of=own.ports.clock(), dry_run=dry_run))


async def test_the_daily_verification_counts_what_it_saw(own: Own) -> None:
    counts = await work(own)
    assert (counts["damages"], counts["expired"], counts["anchors"]) == (0, 240, 3)
    assert await said(own, "audit:log:damage") == []


async def test_the_daily_verification_sounds_the_alarm_and_a_dry_run_does_not(own: Own, owner: Owner) -> None:
    await owner.do(f"UPDATE events SET org_id = NULL WHERE org_id = '{OURS}'")
    assert (await work(own, dry_run=True))["damages"] > 0
    assert await said(own, "audit:log:damage") == []
    assert (await work(own))["damages"] > 0
    assert len(await said(own, "audit:log:damage")) == 1
