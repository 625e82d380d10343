"""Signing keys follow one another; the vault is asked with Azure's own client."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError
from azure.keyvault.secrets._shared import http_challenge_cache
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from lotpro_identity.app import SERVICE
from lotpro_identity.keys import domain, jobs
from lotpro_identity.keys.domain import ALGORITHM, Signer
from lotpro_kit import testing
from lotpro_kit.jobs import Counts, Run
from lotpro_kit.settings import Secret
from lotpro_localcloud import certificates, keys
from lotpro_localcloud.state import write_json
from services.identity.tests.conftest import Identity

START = datetime(2026, 11, 2, 4, 5, tzinfo=UTC)
NAME = "identity-signing-key"


def pem() -> str:
    return ECKey.generate_key("P-256", {"alg": "ES256", "use": "sig"}).as_pem(private=True).decode()


def at(days: float = 0, minutes: float = 0) -> datetime:
    return START + timedelta(days=days, minutes=minutes)


def signing(signer: Signer, moment: datetime) -> str:
    """Which key signs at a moment; what it signed must be readable."""
    now = int(moment.timestamp())
    token = signer.sign({"sub": "somebody", "iat": now, "exp": now + 300}, typ="at+jwt")
    assert verifies(signer, token)
    kid: str = jws.extract_compact(token.encode()).protected["kid"]
    return kid


def verifies(signer: Signer, token: str) -> bool:
    """Whether the published keys are those of a token."""
    try:
        jwt.decode(token, KeySet.import_key_set(signer.jwks), algorithms=[ALGORITHM])
    except (JoseError, ValueError):
        return False
    return True


def published(signer: Signer) -> list[str]:
    return [key["kid"] for key in signer.jwks["keys"]]


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Secret]:
    """The signing key in a vault of this test's own, where this process is identity."""
    http_challenge_cache.clear()
    certificates.ensure(tmp_path / "ca")
    state = tmp_path / "providers"
    state.mkdir()
    identity = keys.client_id("identity")
    allowed = {"service": "identity", "header": "header-of-identity", "officer_of": keys.RENEWED["identity"]}
    write_json(state / "principals.json", {identity: allowed})
    (state / "vault.json").write_text(json.dumps({NAME: pem(), "identity-pepper": "a pepper"}))
    process = testing.start(
        "lotpro_localcloud.providers", "--state", str(state), "--principals", str(state / "principals.json"),
        "--cert", str(tmp_path / "ca" / "server.pem"), "--key", str(tmp_path / "ca" / "server.key"),
        "--port", "0", "--tls-port", "0", log=tmp_path / "providers.log",
    )
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{process.ready['port']}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "header-of-identity")
    told = testing.settings(
        SERVICE, vault_url=f"https://localhost:{process.ready['tls_port']}", client_id=identity,
        blob_url="https://localhost:1", vault_verify_challenge=False, ca_bundle=str(tmp_path / "ca" / "ca.pem"),
        code_key="-", pepper="-", signing_key="-",
    )
    yield Secret(told, "signing_key")
    process.stop()


async def rotate(secret: Secret, moment: datetime, *, dry_run: bool = False) -> Counts:
    return await jobs.rotate(secret).work(Run(as_of=moment, dry_run=dry_run))


async def test_every_month_another_key_signs_and_no_token_meanwhile_is_refused(secret: Secret) -> None:
    signer = Signer(lambda: "")
    signer.replace(await secret.read())
    first = signing(signer, at())
    assert await rotate(secret, at()) == {"added": 1, "dropped": 0}
    signer.replace(await secret.read())
    assert len(published(signer)) == 2
    assert signing(signer, at(minutes=9)) == first, "whoever cached the keys does not know the new one yet"
    second = signing(signer, at(minutes=11))
    assert second != first
    assert await rotate(secret, at(minutes=30)) == {"added": 0, "dropped": 0}, "tokens of the first are still good"
    assert await rotate(secret, at(days=1)) == {"added": 0, "dropped": 1}
    assert await rotate(secret, at(days=29)) == {"added": 0, "dropped": 0}
    assert await rotate(secret, at(days=31)) == {"added": 1, "dropped": 0}
    signer.replace(await secret.read())
    assert signing(signer, at(days=31)) == second
    assert signing(signer, at(days=31, minutes=11)) not in (first, second)


async def test_a_dry_run_says_what_it_would_do_and_does_nothing(secret: Secret) -> None:
    before = await secret.read()
    assert await rotate(secret, at(), dry_run=True) == {"added": 1, "dropped": 0}
    assert await secret.read() == before


async def test_a_key_that_became_known_is_replaced_and_its_tokens_end(secret: Secret) -> None:
    signer = Signer(lambda: "")
    signer.replace(await secret.read())
    now = int(at().timestamp())
    stolen = signer.sign({"sub": "somebody", "iat": now, "exp": now + 300}, typ="at+jwt")
    assert await jobs.replace(secret).work(Run(as_of=at())) == {"added": 1, "dropped": 1}
    signer.replace(await secret.read())
    assert not verifies(signer, stolen)
    assert signing(signer, at(minutes=1)) == published(signer)[0]


async def test_identity_may_renew_this_secret_and_no_other(secret: Secret) -> None:
    with pytest.raises(HttpResponseError) as refused:
        await Secret(secret._settings, "pepper").write("mine")
    assert refused.value.status_code == 403


async def test_a_running_process_hears_of_a_new_key(secret: Secret) -> None:
    signer = Signer(lambda: "")
    signer.replace(await secret.read())
    following = asyncio.create_task(jobs.follow(secret, signer, every=0.02))
    await rotate(secret, at())
    try:
        for _ in range(500):
            if len(published(signer)) == 2:
                break
            await asyncio.sleep(0.02)
        assert len(published(signer)) == 2
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_while_the_vault_is_away_or_holds_nonsense_the_known_keys_go_on(secret: Secret) -> None:
    signer = Signer(lambda: "")
    signer.replace(await secret.read())
    known = published(signer)
    for wrong in ("", "no key", '{"keys": []}'):
        with pytest.raises(ValueError):
            signer.replace(wrong)
    gone = Secret(secret._settings.model_copy(update={"vault_url": "https://localhost:1"}), "signing_key")
    following = asyncio.create_task(jobs.follow(gone, signer, every=0.01))
    await asyncio.sleep(0.2)
    assert not following.done()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert published(signer) == known


def test_keys_survive_being_written_and_read() -> None:
    made = domain.rotated(domain.read_keys(pem()), now=int(at().timestamp()))
    assert made is not None
    again = domain.read_keys(domain.write_keys(made))
    assert [(one.key.kid, one.begins) for one in again] == [(one.key.kid, one.begins) for one in made]
    assert all(set(key) <= {"kty", "crv", "x", "y", "kid", "alg", "use"} for key in Signer(
        lambda: domain.write_keys(made)
    ).jwks["keys"])


async def test_the_keys_are_public_and_say_how_long_they_may_be_kept(identity: Identity) -> None:
    answer = await identity.get("/jwks.json")
    assert answer.headers["Cache-Control"] == f"public, max-age={domain.CACHE_SECONDS}"
    assert all("d" not in key for key in answer.json()["keys"])
