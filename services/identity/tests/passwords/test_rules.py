"""Which passwords are taken and which are not."""

import pytest
from zxcvbn import zxcvbn

from lotpro_identity.accounts.domain import WEAKEST_SCORE, PasswordTooWeak, check_password
from services.identity.tests.conftest import PASSWORD, Identity

KNOWN = ("Dana Whitfield", "dana.whitfield@prairie-motors.com", "Prairie Motor Group", "Lincoln")


@pytest.mark.parametrize("password", ["Greenmonster72", "StreetFighter2", "flashinglights", "DRACHENSCHWERT"])
def test_a_password_that_was_breached_is_refused_however_strong_it_looks(password: str) -> None:
    assert zxcvbn(password)["score"] >= WEAKEST_SCORE, "this one shows nothing about the list"
    with pytest.raises(PasswordTooWeak):
        check_password(password, known=())


@pytest.mark.parametrize(
    "password",
    [
        "elevenchars",
        "aaaaaaaaaaaaaaaa",
        "qwertyuiop1234",
        "danawhitfield",
        "PrairieMotorGroup",
        "lotprolotpro",
        "dana.whitfield@prairie-motors.com",
        "x" * 129,
        # Twelve characters on the screen, eleven once they are the same on every keyboard.
        "e\u0301levenchars",
    ],
)
def test_what_is_short_common_or_known_about_the_person_is_refused(password: str) -> None:
    with pytest.raises(PasswordTooWeak):
        check_password(password, known=KNOWN)


@pytest.mark.parametrize(
    "password",
    [
        PASSWORD,
        "twelve chars",
        "no rules but length",
        "läuft-über-die-Brücke",
        "пять тихих площадок",
        "車は静かに並んでいる夜明け前",
        "🚗🚙🚚 at the quiet lot 🚛",
        "correct lot battery staple " * 4,
    ],
)
def test_length_is_what_counts_in_any_script(password: str) -> None:
    check_password(password, known=KNOWN)


async def test_a_breached_password_opens_no_account(identity: Identity) -> None:
    body = identity.sign_up_body("breached@prairie-motors.com") | {"password": "Greenmonster72"}
    answer = await identity.post("/accounts", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "identity.password_too_weak")
    assert answer.json()["errors"][0]["pointer"] == "/body/password"
