"""A server that is to be known on the LAN is found there by its name, and one that is not says nothing."""

import json
import logging
import platform
import shutil
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest
import yaml
from zeroconf import NonUniqueNameException

from neuralbridge import announce, machine
from neuralbridge.announce import service
from neuralbridge.logs import Facts
from neuralbridge.sections import Server, Tls
from neuralbridge.server import announcing
from tests.test_no_network import UNSHARE, why_not

ROOT = Path(__file__).parents[1]
BROWSE = Path(__file__).with_name("browse.py")


@pytest.mark.model
def test_a_browser_on_the_lan_finds_it_and_hears_it_leave(tmp_path: Path) -> None:
    if reason := why_not() or (None if shutil.which("ip") else "there is no ip command"):
        pytest.skip(f"no LAN can be made here: {reason}")
    settings = {
        "version": 1,
        "server": {"host": "10.77.0.1", "mdns": True},
        "models": {"small": {"path": str(ROOT / "models" / "smollm2-135m-instruct-q4_1.gguf")}},
        "routing": {"default": "small"},
        "documents": {"enabled": False},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    browsed = subprocess.run(
        [*UNSHARE, sys.executable, str(BROWSE), str(tmp_path / "config.yaml")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert browsed.returncode == 0, browsed.stderr
    seen = json.loads(browsed.stdout)
    first = platform.node().lower().partition(".")[0]
    name = f"NeuralBridge on {first}._http._tcp.local."
    assert (seen["found"], seen["gone"]) == (
        ["Added", "_http._tcp.local.", name],
        ["Removed", "_http._tcp.local.", name],
    )
    assert seen["line"] == f"listening on http://10.77.0.1:{seen['port']}"
    assert (seen["host"], seen["addresses"], seen["reached"]) == (f"{first}.local.", ["10.77.0.1"], True)
    assert (seen["heard"]["lan"] > 0, seen["heard"]["other"], seen["status"]) == (True, 0, 0)
    assert "an attempt to leave this machine" not in browsed.stderr  # it was told to
    assert "whoever is on this network can read" in browsed.stderr
    assert "Traceback" not in browsed.stderr


@pytest.fixture
def lan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a name and a network."""
    monkeypatch.setattr(machine, "names", lambda: ["desk.office", "desk.local"])
    monkeypatch.setattr(machine, "addresses", lambda host: [ip_address("192.0.2.20")])


def test_an_encrypted_server_is_announced_as_one(lan: None) -> None:
    told = service(Server(host="0.0.0.0", mdns=True, tls=Tls(self_made=True)), 4000)
    assert told is not None
    assert (told.name, told.server, told.port) == (
        "NeuralBridge on desk._https._tcp.local.",
        "desk.local.",
        4000,
    )


def test_a_long_name_is_cut_to_what_dns_holds(lan: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "names", lambda: ["d" * 63, "d" * 63 + ".local"])
    told = service(Server(host="0.0.0.0", mdns=True), 4000)
    assert told is not None
    assert told.name.partition(".")[0] == ("NeuralBridge on " + "d" * 63)[:63]


@pytest.mark.parametrize("server", [Server(host="0.0.0.0"), Server(mdns=True), Server(host="::1", mdns=True)])
async def test_without_a_lan_or_a_wish_nothing_is_announced(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        pytest.fail("it was announced")

    monkeypatch.setattr(announce, "announce", refused)
    async with announcing(server, 4000):
        pass


class Refusing:
    """A responder that comes to be, and then finds that others have every name."""

    def __init__(self, interfaces: list[str]) -> None:
        self.closed = False

    async def async_register_service(self, *_: object, **__: object) -> None:
        raise NonUniqueNameException

    async def async_unregister_all_services(self) -> None:
        pass

    async def async_close(self) -> None:
        self.closed = True


def without_multicast(interfaces: list[str]) -> None:
    raise OSError(19, "No such device")


@pytest.mark.parametrize(
    ("place", "part", "replacement", "why"),
    [
        (machine, "names", list, "no name or no network"),
        (machine, "addresses", lambda host: [], "no name or no network"),
        (announce, "AsyncZeroconf", without_multicast, "No such device"),
        (announce, "AsyncZeroconf", Refusing, "NonUniqueNameException"),
    ],
)
async def test_a_lan_that_does_not_take_it_is_a_warning(
    lan: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: object,
    part: str,
    replacement: object,
    why: str,
) -> None:
    monkeypatch.setattr(place, part, replacement)
    await announce.announce(Server(host="0.0.0.0", mdns=True), 4000)
    (told,) = [record for record in caplog.records if record.name == announce.__name__]
    assert told.levelno == logging.WARNING
    assert why in Facts().format(told)
