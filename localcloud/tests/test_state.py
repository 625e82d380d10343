"""The state folder has one user at a time, and ports and certificates are what TLS clients and processes need."""

import os
import socket
import ssl
import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from lotpro_localcloud import certificates, keys, reset, topology, up
from lotpro_localcloud.state import InUse, State


def test_only_one_stack_uses_a_state_at_a_time(tmp_path: Path) -> None:
    with State(tmp_path).lock(), pytest.raises(InUse, match=str(os.getpid())), State(tmp_path).lock():
        pass
    with State(tmp_path).lock():
        pass


def test_a_running_stack_refuses_to_be_reset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = State(tmp_path / "state")
    with state.lock():
        assert reset.main(["--state", str(state.root)]) == 1
    assert "stop it first" in capsys.readouterr().err
    assert state.root.exists()
    assert reset.main(["--state", str(state.root)]) == 0
    assert not state.root.exists()


def test_others_cannot_look_into_the_state(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    state.make()
    keys.ensure(state / "keys.json")
    assert stat.S_IMODE(state.root.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "keys.json").stat().st_mode) == 0o600


def test_secrets_stay_the_same_from_start_to_start(tmp_path: Path) -> None:
    first = keys.ensure(tmp_path / "keys.json")
    assert keys.ensure(tmp_path / "keys.json") == first
    assert len(set(first.values())) == len(first)


def test_free_ports_are_free_and_all_different() -> None:
    with topology.free_ports() as ports:
        assert len(set(ports.values())) == len(topology.DEFAULT_PORTS)
        topology.check_free(ports)


def test_no_two_stacks_get_the_same_port_before_either_listens() -> None:
    with ExitStack() as stacks:
        all_ports = [port for _ in range(200) for port in stacks.enter_context(topology.free_ports()).values()]
    assert len(set(all_ports)) == len(all_ports)


def test_a_taken_port_gets_one_sentence_with_the_name_of_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(topology.PortTaken, match=f"port {port} \\(gateway\\)"):
            topology.check_free({"gateway": port})
        assert f"(process {os.getpid()})" in up.who_holds(port)


def test_a_second_stack_on_the_same_state_gets_one_sentence(tmp_path: Path) -> None:
    with State(tmp_path).lock():
        said = subprocess.run(
            [sys.executable, "-m", "lotpro_localcloud", "up", "--state", str(tmp_path), "--ports", "ephemeral"],
            capture_output=True, text=True, check=False, timeout=30,
        )
    assert said.returncode == 1
    assert said.stderr.strip() == (
        f"lotPro already runs here (process {os.getpid()}). Stop that first, or give another --state."
    )


def test_the_local_certificate_is_trusted_for_localhost_by_its_authority(tmp_path: Path) -> None:
    certificates.ensure(tmp_path)
    before = (tmp_path / "server.pem").read_bytes()
    certificates.ensure(tmp_path)
    assert (tmp_path / "server.pem").read_bytes() == before
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    client = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert ends[0].version() == "TLSv1.3"
