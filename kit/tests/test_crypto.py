"""Encryption: per subject, bound to its place, gone with its key; origins only audit can open."""

import base64
import os
from types import SimpleNamespace
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.tests.conftest import Sample
from lotpro_kit import crypto, ids
from lotpro_kit.caller import Origin, system

KEY = base64.b64encode(os.urandom(32)).decode()


@given(st.text(max_size=200), st.text(max_size=20))
def test_what_a_subject_key_encrypts_it_decrypts_in_the_same_place_only(secret: str, place: str) -> None:
    key = crypto.SubjectKey(ids.new(), os.urandom(32))
    sealed = key.encrypt(secret, context=place)
    assert key.decrypt(sealed, context=place) == secret
    with pytest.raises(crypto.Undecryptable):
        key.decrypt(sealed, context=place + "x")
    with pytest.raises(crypto.Undecryptable):
        crypto.SubjectKey(ids.new(), key.key).decrypt(sealed, context=place)


async def test_a_destroyed_data_key_takes_its_data_along(sample: Sample) -> None:
    keyring, subject = sample.runtime.keyring, uuid4()
    async with sample.runtime.database.begin(system()) as session:
        first = await keyring.for_subject(session, subject)
        sealed = first.encrypt("Jane", context="name")
        again = await keyring.for_subject(session, subject)
        assert again.decrypt(sealed, context="name") == "Jane"
        assert await keyring.destroy(session, subject)
        assert not await keyring.destroy(session, subject)
        with pytest.raises(crypto.Undecryptable):
            await keyring.existing(session, subject)
        fresh = await keyring.for_subject(session, subject)
        with pytest.raises(crypto.Undecryptable):
            fresh.decrypt(sealed, context="name")


def test_a_blind_index_finds_the_same_address_in_any_case_and_only_in_its_column() -> None:
    index = crypto.BlindIndex(KEY)
    assert index.of(" Jane@Example.com", context="email") == index.of("jane@example.com ", context="email")
    assert index.of("jane@example.com", context="email") != index.of("jane@example.com", context="phone")


def test_an_origin_opens_with_audits_key_and_no_other() -> None:
    origin = Origin(ip="203.0.113.7", user_agent="Firefox")
    sealed = crypto.seal_origin(origin, crypto.sealing_public_key(KEY))
    assert b"203.0.113" not in sealed
    assert crypto.open_origin(sealed, KEY) == origin
    other = base64.b64encode(os.urandom(32)).decode()
    with pytest.raises(crypto.Undecryptable):
        crypto.open_origin(sealed, other)
    assert crypto.seal_origin(origin, crypto.sealing_public_key(KEY)) != sealed
    assert crypto.seal_origin(Origin(), crypto.sealing_public_key(KEY)) == b""
    assert crypto.open_origin(b"", KEY) == Origin()


def test_a_sealed_origin_that_was_changed_or_cut_anywhere_does_not_open() -> None:
    sealed = crypto.seal_origin(Origin(ip="203.0.113.7"), crypto.sealing_public_key(KEY))
    for at in range(len(sealed)):
        with pytest.raises(crypto.Undecryptable):
            crypto.open_origin(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], KEY)
    for length in range(1, len(sealed)):
        with pytest.raises(crypto.Undecryptable):
            crypto.open_origin(sealed[:length], KEY)


def test_a_process_seals_under_a_new_key_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    public, origin = crypto.sealing_public_key(KEY), Origin(ip="203.0.113.7")
    monkeypatch.setattr(crypto, "time", SimpleNamespace(monotonic=lambda: 599.0))
    before = crypto.seal_origin(origin, public)
    assert crypto.seal_origin(origin, public)[:80] == before[:80]
    monkeypatch.setattr(crypto, "time", SimpleNamespace(monotonic=lambda: 600.0))
    after = crypto.seal_origin(origin, public)
    assert after[:80] != before[:80]
    assert crypto.open_origin(before, KEY) == crypto.open_origin(after, KEY) == origin
