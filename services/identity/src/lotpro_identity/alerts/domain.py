"""What people are told of; pure."""

from enum import StrEnum


class Topic(StrEnum):
    """What happened. Notifications has words for each."""

    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a topic
    EMAIL_CHANGED = "email_changed"
    PHONE_CHANGED = "phone_changed"
    FACTOR_ADDED = "factor_added"
    FACTOR_REMOVED = "factor_removed"
    RECOVERY_CODES_RENEWED = "recovery_codes_renewed"
    RECOVERY_CODE_USED = "recovery_code_used"
    NEW_DEVICE = "new_device"
    UNUSUAL_SIGN_IN = "unusual_sign_in"
    SESSION_STOLEN = "session_stolen"
    PASSWORD_KNOWN = "password_known"  # noqa: S105 - a topic
    CODE_BURST = "code_burst"
    LOCKED = "locked"
    STAFF_ACCESS = "staff_access"
