"""What this machine is called and where it is reached, whatever its administrator thought of."""

import platform
from ipaddress import ip_address
from types import SimpleNamespace

import ifaddr
import pytest

from neuralbridge import machine

ADAPTERS = [
    ["127.0.0.1", ("::1", 0, 0)],
    ["192.168.1.20", ("fd00::20", 0, 0), ("fe80::20", 0, 2)],
    ["10.0.0.5"],
    ["192.168.1.20"],
]


@pytest.mark.parametrize(
    ("node", "names"),
    [
        ("desk", ["desk", "desk.local"]),
        ("Desk.Office.Example", ["desk.office.example", "desk.local"]),
        ("desk.local", ["desk.local"]),
        ("my_desk", []),
        ("désk", []),
        ("", []),
        ("a" * 64, []),
        ("-", []),
    ],
)
def test_only_what_may_be_the_name_of_a_host_is_one(
    monkeypatch: pytest.MonkeyPatch, node: str, names: list[str]
) -> None:
    monkeypatch.setattr(platform, "node", lambda: node)
    assert machine.names() == names


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("127.0.0.1", []),
        ("::1", []),
        ("0.0.0.0", ["10.0.0.5", "192.168.1.20"]),
        ("::", ["fd00::20"]),
        ("192.168.1.20", ["192.168.1.20"]),
    ],
)
def test_it_is_reached_where_it_listens(monkeypatch: pytest.MonkeyPatch, host: str, reached: list[str]) -> None:
    adapters = [SimpleNamespace(ips=[SimpleNamespace(ip=each) for each in ips]) for ips in ADAPTERS]
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: adapters)
    assert machine.addresses(host) == [ip_address(each) for each in reached]
