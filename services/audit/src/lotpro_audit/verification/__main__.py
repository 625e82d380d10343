"""`lotpro-audit verify EXPORT --key KEY`: judge an export file. Needs no network, no database and no account.

Ends with 0 when all is as the log wrote it, with 1 when something is not, with 2 when there is nothing to judge.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lotpro_audit.tree import notes
from lotpro_audit.tree.notes import Checkpoint, NoteRefused, VerifierKey
from lotpro_audit.verification import verify
from lotpro_audit.verification.verify import Report, Unusable

_ABOUT = "Judge an export of the security log by nothing but the file and the log's public key."


def console() -> int:
    """The command `lotpro-audit`."""
    parser = argparse.ArgumentParser("lotpro-audit")
    commands = parser.add_subparsers(required=True)
    _add_arguments(commands.add_parser("verify", help=_ABOUT, description=_ABOUT))
    return _run(parser.parse_args())


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m lotpro_audit.verification`, which needs no name of a command."""
    parser = argparse.ArgumentParser("python -m lotpro_audit.verification", description=_ABOUT)
    _add_arguments(parser)
    return _run(parser.parse_args(arguments))


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("export", type=Path, help="the export, JSON Lines or CSV")
    parser.add_argument("--key", required=True, help="the log's public key (name+id+key), or a file that has it")
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint of the log that you kept")
    parser.add_argument("--consistency", type=Path, help="the proof from the one checkpoint to the other")
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def _run(options: argparse.Namespace) -> int:
    try:
        key = _key(options.key)
        kept, proof = _kept(options, key)
        with _open(options.export) as file:
            report = verify.verify(file, key, progress=_progress)
        if kept is not None and report.checkpoint is not None:
            continued = verify.continues(kept, report.checkpoint, proof)
            if not continued:
                report.fail(1, f"its log is not the one of the checkpoint of size {kept.size:,} that you kept")
    except Unusable as error:
        _say(json.dumps({"verified": False, "error": str(error)}) if options.json else f"Nothing was judged: {error}.")
        return 2
    _say(_as_json(report) if options.json else _as_text(report, kept))
    return 0 if report.verified else 1


def _as_text(report: Report, kept: Checkpoint | None) -> str:
    said = [failure.sentence() for failure in report.failures]
    if report.more:
        said.append(f"{report.more:,} more failures are not told.")
    verdict = report.sentence()
    if report.verified and kept is not None:
        verdict += f" It is the log of the checkpoint of size {kept.size:,} that you kept."
    return "\n".join([*said, verdict])


def _as_json(report: Report) -> str:
    header, checkpoint = report.header, report.checkpoint
    return json.dumps(
        {
            "verified": report.verified,
            "sentence": report.sentence(),
            "events": report.events,
            "sealed_origins": report.sealed,
            "held": report.held,
            "org": header and header.org,
            "filter": header and header.filter,
            "first_org_seq": header and header.first_org_seq,
            "last_org_seq": header and header.last_org_seq,
            "gaps": [{"first": gap.first, "last": gap.last, "day": gap.day} for gap in header.gaps] if header else [],
            "size": checkpoint and checkpoint.size,
            "root": checkpoint and checkpoint.root.hex(),
            "failures": [{"line": failure.line, "reason": failure.reason} for failure in report.failures],
            "more_failures": report.more,
        }
    )


def _key(given: str) -> VerifierKey:
    """The key by its spelling, or by a file that has it."""
    try:
        return VerifierKey.read(given)
    except NoteRefused as error:
        if not Path(given).is_file():
            raise Unusable(f"the key is none: {error}") from error
    try:
        return VerifierKey.read(_text(Path(given)).strip())
    except NoteRefused as error:
        raise Unusable(f"the key in {given} is none: {error}") from error


def _kept(options: argparse.Namespace, key: VerifierKey) -> tuple[Checkpoint | None, Any]:
    """The checkpoint that somebody kept, and the proof for it."""
    if options.checkpoint is None:
        if options.consistency is not None:
            raise Unusable("a consistency proof is for a checkpoint that you kept: --checkpoint FILE")
        return None, None
    try:
        kept = notes.open(_text(options.checkpoint), key)
    except NoteRefused as error:
        raise Unusable(f"the checkpoint in {options.checkpoint} is none of this log: {error}") from error
    if options.consistency is None:
        return kept, None
    try:
        return kept, json.loads(_text(options.consistency))
    except (ValueError, RecursionError) as error:
        raise Unusable(f"{options.consistency} is no JSON") from error


def _open(path: Path) -> Any:
    try:
        return path.open("rb")
    except OSError as error:
        raise Unusable(f"{path} cannot be read") from error


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(f"{path} cannot be read") from error


def _progress(events: int) -> None:
    sys.stderr.write(f"{events:,} events so far\n")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
