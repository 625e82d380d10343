"""A picture's way through the gateway, identity and Blob Storage, all of them real."""

from io import BytesIO

import httpx
import pytest
from PIL import Image

from tests.e2e import flow
from tests.e2e.stack import Stack

ACCOUNTS = "/api/identity/v1/accounts"


@pytest.fixture
def pixels() -> bytes:
    """A picture as a camera makes it."""
    made = BytesIO()
    Image.effect_noise((900, 600), 80).convert("RGB").save(made, "JPEG", quality=95, comment=b"at home")
    assert 65_536 < len(made.getvalue()) < 1_048_576
    return made.getvalue()


def test_a_picture_comes_back_made_anew_and_only_to_its_own_organisation(
    stack: Stack, story: flow.Story, pixels: bytes
) -> None:
    steps = (flow.sign_up, flow.confirm_email, flow.enrol_totp, flow.sign_in)
    with (
        flow.told(stack.gateway, stack.addresses["providers"], *steps) as stranger,
        httpx.Client(base_url=stack.gateway, trust_env=False, timeout=30) as http,
    ):
        story.owner.refresh()
        mine = {"authorization": f"Bearer {story.owner.gateway.token}"}
        theirs = {"authorization": f"Bearer {stranger.owner.gateway.token}"}
        me = http.get(f"{ACCOUNTS}/me", headers=mine)
        change = mine | {"if-match": me.headers["etag"], "content-type": "image/jpeg"}
        sent = http.put(f"{ACCOUNTS}/me/picture", content=pixels, headers=change)
        assert sent.status_code == 204, sent.text
        path = http.get(f"{ACCOUNTS}/me", headers=mine).json()["picture"]
        shown = http.get(path, headers=mine)
        assert (shown.status_code, shown.headers["content-type"]) == (200, "image/webp")
        assert "private" in shown.headers["cache-control"]
        assert Image.open(BytesIO(shown.content)).size == (256, 256)
        assert b"at home" not in shown.content
        assert http.get(path, headers=mine | {"if-none-match": shown.headers["etag"]}).status_code == 304
        assert http.get(path, headers=theirs).status_code == 404
        assert http.get(path).status_code == 401
        too_large = http.put(f"{ACCOUNTS}/me/picture", content=b"x" * 1_048_577, headers=change)
        assert too_large.status_code == 413
        gone = http.delete(f"{ACCOUNTS}/me/picture", headers=mine | {"if-match": sent.headers["etag"]})
        assert gone.status_code == 204, gone.text
        assert http.get(path, headers=mine).status_code == 404
