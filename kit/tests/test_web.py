"""Strangers' addresses: only public ones are gone to."""

import pytest

from lotpro_kit.web import Unreachable, Web, is_public, public_addresses


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True), ("2606:2800:220:1:248:1893:25c8:1946", True), ("127.0.0.1", False),
        ("0.0.0.0", False), ("10.1.2.3", False), ("172.16.0.1", False), ("192.168.1.1", False),
        ("169.254.169.254", False), ("168.63.129.16", False), ("100.64.0.1", False), ("224.0.0.1", False),
        ("255.255.255.255", False), ("::1", False), ("::", False), ("fe80::1", False), ("fe80::1%eth0", False),
        ("fc00::1", False), ("ff02::1", False), ("::ffff:10.0.0.1", False), ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False), ("no address", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "169.254.169.254", "10.0.0.1"])
async def test_a_host_inside_is_not_looked_up_for_anybody(host: str) -> None:
    with pytest.raises(Unreachable):
        await public_addresses(host, 443)


async def test_an_exempt_origin_is_its_scheme_host_and_port_and_nothing_else() -> None:
    web = Web(lambda: (("https://127.0.0.1:9",), ()))
    assert web.is_allowed("https://127.0.0.1:9/x")
    assert not web.is_allowed("http://127.0.0.1:9/x")
    with pytest.raises(Unreachable):
        await web.send("https://127.0.0.1:10/x", b"{}", {"content-type": "application/json"})
    await web.close()
