"""The words for each alert about an account; pure. A topic that is newer than this text still gets an honest one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """An alert's subject and its sentence."""

    subject: str
    sentence: str


_WORDS = {
    "password_changed": Words("Your lotPro password was changed", "The password of your lotPro account was changed."),
    "email_changed": Words("This is now your lotPro address", "Your lotPro account now uses this e-mail address."),
    "phone_changed": Words("Your phone number was changed", "The phone number of your lotPro account was changed."),
    "factor_added": Words("A second factor was added", "Your lotPro account has another way to sign in now."),
    "factor_removed": Words("A second factor was removed", "A way to sign in to your lotPro account was removed."),
    "recovery_codes_renewed": Words(
        "You have new recovery codes", "New recovery codes were made for your lotPro account; the old ones have ended."
    ),
    "recovery_code_used": Words("A recovery code was used", "Somebody signed in with one of your recovery codes."),
    "new_device": Words("A new sign-in to lotPro", "Somebody signed in from a browser we have not seen before."),
    "unusual_sign_in": Words(
        "An unusual sign-in to lotPro", "Your account was signed in to in a way that is unusual for you."
    ),
    "session_stolen": Words(
        "We ended a session of yours", "A session of yours was used as a stolen one would be. We ended it."
    ),
    "password_known": Words(
        "Somebody knows your lotPro password",
        "Somebody gave your right password and then failed at the second factor several times.",
    ),
    "code_burst": Words(
        "Many sign-in codes were sent to you",
        "Somebody gave your right password and asked for several codes. Give no code to anybody who asks you for one.",
    ),
    "staff_access": Words(
        "lotPro's staff looks into your organisation",
        "Somebody of lotPro's own staff was given access to your organisation for an hour at most. Who, when and why "
        "stands in your organisation's settings.",
    ),
    "locked": Words("Your lotPro account is locked", "It was locked because somebody said it was taken over."),
}
_OTHER = Words("Something changed on your lotPro account", "The security settings of your lotPro account were changed.")


def words_of(topic: str) -> Words:
    """What to say about a topic."""
    return _WORDS.get(topic, _OTHER)
