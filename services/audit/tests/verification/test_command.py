"""The command `lotpro-audit verify`."""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from lotpro_audit.exports.format import CSV, JSON_LINES, Format
from lotpro_audit.verification import __main__ as command
from services.audit.tests.samples import SIGNER, STRANGER, Sample, changed, closed, first_event

KEY = SIGNER.verifier.spelled()
LOG = Sample(40)


class Terminal:
    """Files to verify, and what the command says of them."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._path, self._capsys = path, capsys

    def file(self, name: str, content: bytes | str) -> str:
        (self._path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(self._path / name)

    def run(self, *arguments: str) -> tuple[int, str]:
        ended = command.main(arguments)
        return ended, self._capsys.readouterr().out

    def export(self, spelling: Format = JSON_LINES) -> str:
        return self.file("export", b"".join(LOG.export(spelling)))


@pytest.fixture
def terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(tmp_path, capsys)


@pytest.mark.parametrize("spelling", [JSON_LINES, CSV])
def test_a_good_export_ends_with_0_and_one_sentence(terminal: Terminal, spelling: Format) -> None:
    assert terminal.run(terminal.export(spelling), "--key", KEY) == (
        0, "20 events are in the log as signed at size 40, none is missing between 1 and 20.\n"
    )


def test_the_key_may_be_in_a_file(terminal: Terminal) -> None:
    ended, _ = terminal.run(terminal.export(), "--key", terminal.file("key", KEY + "\n"))
    assert ended == 0


def test_a_bad_export_ends_with_1_and_names_each_failure(terminal: Terminal) -> None:
    lines = LOG.export(JSON_LINES)[:-1]
    at = first_event(JSON_LINES) + 1
    lines[at] = changed(JSON_LINES, lines[at], ip="198.51.100.7")
    ended, said = terminal.run(terminal.file("bad", b"".join(closed(JSON_LINES, lines))), "--key", KEY)
    assert (ended, said) == (
        1, "Line 3: ip is not what the log holds.\nThe export is not what the log holds: 1 failure.\n"
    )


def test_another_key_proves_nothing(terminal: Terminal) -> None:
    ended, said = terminal.run(terminal.export(), "--key", STRANGER.verifier.spelled())
    assert (ended, said.splitlines()[0]) == (1, "Line 1: the note is not signed by this key.")


def test_machines_get_json(terminal: Terminal) -> None:
    ended, said = terminal.run(terminal.export(), "--key", KEY, "--json")
    answer = json.loads(said)
    assert ended == 0
    assert answer["verified"] is True
    assert (answer["events"], answer["size"], answer["failures"]) == (20, 40, [])
    assert answer["root"] == LOG.checkpoint().root.hex()
    ended, said = terminal.run(terminal.file("cut", b"".join(LOG.export(JSON_LINES)[:-1])), "--key", KEY, "--json")
    answer = json.loads(said)
    assert (ended, answer["verified"], answer["failures"][0]["line"]) == (1, False, 21)
    ended, said = terminal.run(terminal.file("none", b"no export"), "--key", KEY, "--json")
    assert (ended, json.loads(said)) == (2, {"verified": False, "error": "this is no export of the log"})


def test_a_kept_checkpoint_shows_that_the_log_only_grew(terminal: Terminal) -> None:
    kept = terminal.file("kept", SIGNER.sign(LOG.checkpoint(17)))
    proof = terminal.file("proof", json.dumps(LOG.consistency(17, 40)))
    ended, said = terminal.run(terminal.export(), "--key", KEY, "--checkpoint", kept, "--consistency", proof)
    assert ended == 0
    assert said.endswith(" It is the log of the checkpoint of size 17 that you kept.\n")


def test_a_log_that_was_rolled_back_is_found_by_who_kept_a_checkpoint(terminal: Terminal) -> None:
    # Event 6 is another one and everything after it was signed anew: the export alone proves itself.
    rewritten = Sample(40, rewritten=5)
    export = terminal.file("rewritten", b"".join(rewritten.export(JSON_LINES)))
    assert terminal.run(export, "--key", KEY)[0] == 0
    kept = terminal.file("kept", SIGNER.sign(LOG.checkpoint(17)))
    for log in (LOG, rewritten):
        proof = terminal.file("proof", json.dumps(log.consistency(17, 40)))
        ended, said = terminal.run(export, "--key", KEY, "--checkpoint", kept, "--consistency", proof)
        assert ended == 1
        assert said.splitlines()[0] == "Line 1: its log is not the one of the checkpoint of size 17 that you kept."
    # At the same size there is nothing to prove, only to compare.
    kept = terminal.file("kept", SIGNER.sign(LOG.checkpoint(40)))
    assert terminal.run(export, "--key", KEY, "--checkpoint", kept)[0] == 1


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"--checkpoint": "kept"}, "needs a consistency proof from size 17 to size 40: --consistency FILE"),
        ({"--consistency": "proof"}, "for a checkpoint that you kept"),
        ({"--checkpoint": "stranger"}, "is none of this log: the note is not signed by this key"),
        ({"--checkpoint": "kept", "--consistency": "kept"}, "is no JSON"),
        ({"--checkpoint": "kept", "--consistency": "other"}, "none from size 17 to size 40"),
        ({"--checkpoint": "missing"}, "cannot be read"),
        ({"--checkpoint": "binary"}, "cannot be read"),
        ({"--key": "kept"}, "is none"),
        ({"--key": "missing"}, "the key is none"),
        ({"export": "missing"}, "cannot be read"),
        ({"export": "kept"}, "no export"),
    ],
)
def test_unusable_input_ends_with_2(terminal: Terminal, files: dict[str, str], said: str) -> None:
    export = terminal.export()
    known = {
        "kept": terminal.file("kept", SIGNER.sign(LOG.checkpoint(17))),
        "stranger": terminal.file("stranger", STRANGER.sign(LOG.checkpoint(17))),
        "proof": terminal.file("proof", json.dumps(LOG.consistency(17, 40))),
        "other": terminal.file("other", json.dumps(LOG.consistency(16, 40))),
        "binary": terminal.file("binary", b"\xff"),
        "missing": export + "-is-not-there",
    }
    options = {"--key": KEY} | {name: known[file] for name, file in files.items() if name != "export"}
    spelled = [part for name, value in options.items() for part in (name, value)]
    ended, heard = terminal.run(known[files["export"]] if "export" in files else export, *spelled)
    assert ended == 2
    assert heard.startswith("Nothing was judged: ")
    assert said in heard


def test_the_command_stands_alone(tmp_path: Path) -> None:
    """It is installed as `lotpro-audit verify`, and loads neither the service nor anything that could reach one."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    script = EntryPoint("lotpro-audit", project["project"]["scripts"]["lotpro-audit"], "console_scripts")
    assert script.load() is command.console
    export = tmp_path / "export.csv"
    export.write_bytes(b"".join(LOG.export(CSV)))
    program = (
        "import sys\n"
        "from lotpro_audit.verification.__main__ import console\n"
        "ended = console()\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & {'sqlalchemy', 'asyncpg', 'pydantic', 'httpx', 'grpc', 'lotpro_kit', 'ssl'}))\n"
        "sys.exit(ended)\n"
    )
    arguments = [sys.executable, "-c", program, "verify", str(export), "--key", KEY]
    run = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines()[1:] == ["[]"]
