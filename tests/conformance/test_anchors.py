"""What infrastructure grants and keeps of the log's anchors is what the policy and the service's code say."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lotpro_policy
from lotpro_audit.settings import Settings
from lotpro_audit.tree import anchors

ROOT = Path(__file__).resolve().parents[2]
MODULE = (ROOT / "infra" / "bicep" / "modules" / "audit-anchors.bicep").read_text(encoding="utf-8")


def value(pattern: str) -> str:
    """The only place where something stands."""
    [found] = re.findall(pattern, MODULE)
    return str(found)


def test_anchors_cannot_be_changed_as_long_as_what_was_disclosed_is_on_record() -> None:
    days = int(value(r"param immutableDays int = (\d+)"))
    assert int(value(r"@minValue\((\d+)\)")) == days
    kept = lotpro_policy.policy().retention["legal_records"]
    for year in range(2026, 2034):
        for month in range(1, 13):
            over = datetime(year, month, 1, tzinfo=UTC)
            assert over - timedelta(days=days) <= kept.cutoff(over)
    assert value(r"immutabilityPeriodSinceCreationInDays: (\S+)") == "immutableDays"
    assert value(r"allowProtectedAppendWrites: (\S+)") == "false"


def test_audit_may_add_anchors_and_read_them_and_nothing_else() -> None:
    assert set(re.findall(r"containers/blobs/([a-z/]+)'", MODULE)) == {"read", "add/action"}
    assert re.findall(r"(\w*[aA]ctions): \[\]", MODULE) == ["actions", "notActions", "notDataActions"]
    assert value(r"resource auditAnchors [^{]+= {\n  scope: (\w+)") == "container"
    assert value(r"allowSharedKeyAccess: (\w+)") == "false"


def test_only_checkpoints_that_may_go_ever_go() -> None:
    assert value(r"daysAfterCreationGreaterThan: (.+?) }") == "immutableDays + 1"
    assert value(r"prefixMatch: \[ '(.+)' \]") == f"${{containerName}}/{anchors.CHECKPOINTS}"
    assert value(r"var containerName = '(\w+)'") == Settings.service
