"""One JSON line a figure: name, value, unit, n, p50, p95, p99, ratio to a limit of the same run, bar, ok."""

import json
import sys
from collections.abc import Sequence
from typing import Literal


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0..1) of the values lie, by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report(
    name: str,
    value: float,
    unit: str,
    *,
    bar: float,
    better: Literal["higher", "lower"],
    samples: Sequence[float] = (),
    n: int | None = None,
    limit: float | None = None,
    note: str = "",
) -> bool:
    """Print a figure and answer whether it meets its bar. `limit` is the best this machine could do in this run."""
    ok = value >= bar if better == "higher" else value <= bar
    line: dict[str, object] = {"name": name, "value": round(value, 3), "unit": unit, "n": n or len(samples) or 1}
    for label, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        line[label] = round(percentile(samples, share), 3) if samples else None
    line["ratio"] = round(value / limit, 3) if limit else None
    line |= {"bar": bar, "ok": ok}
    if note:
        line["note"] = note
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    return ok
