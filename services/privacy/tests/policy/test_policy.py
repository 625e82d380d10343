"""The published policy over HTTP and gRPC."""

import grpc
import grpc.aio
import pytest

import lotpro_policy
from lotpro.privacy.v1 import privacy_pb2, privacy_pb2_grpc
from lotpro_kit import testing
from lotpro_privacy import app
from services.privacy.tests.conftest import Privacy

PATHS = ("/api/privacy/v1/policy", "/api/privacy/v1/policy.txt")


@pytest.mark.parametrize("path", PATHS)
async def test_who_has_the_policy_in_force_is_not_sent_it_again(privacy: Privacy, path: str) -> None:
    async with testing.client(app.SERVICE, privacy.runtime, privacy.parts) as anybody:
        etag = (await anybody.get(path)).headers["etag"]
        for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            again = await anybody.get(path, headers={"if-none-match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        other = await anybody.get(path, headers={"if-none-match": '"other"'})
    assert other.status_code == 200
    assert "max-age" in other.headers["cache-control"]


async def test_the_policy_as_data_is_the_policy_as_text(privacy: Privacy) -> None:
    async with testing.client(app.SERVICE, privacy.runtime, privacy.parts) as anybody:
        data = (await anybody.get(PATHS[0])).json()
        text = (await anybody.get(PATHS[1])).text
    words = " ".join(text.split())
    assert all(" ".join(clause["text"].split()) in words for clause in data["clauses"])
    assert data["retention"]["security_logs"]["period"]["days"] == 180
    assert {"microsoft_azure", "sendgrid", "twilio", "stripe"} == set(data["processors"])


async def test_named_services_are_told_the_version_and_others_are_refused(privacy: Privacy) -> None:
    async with testing.serve_rpc(privacy.parts, privacy.runtime, privacy.signer) as channel_as:
        request = privacy_pb2.GetPolicyVersionRequest()
        told = await privacy_pb2_grpc.PrivacyServiceStub(channel_as("identity")).GetPolicyVersion(request)
        assert (told.version, told.sha256) == (lotpro_policy.policy().version, lotpro_policy.policy().sha256)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await privacy_pb2_grpc.PrivacyServiceStub(channel_as("billing")).GetPolicyVersion(request)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
