"""What is installed is what was locked: every line by its hash, and nothing older than what is known to be mended."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
# threats.md, section 3: what had advisories, and the first version without
FLOORS = {"aiohttp": (3, 14, 4), "pyjwt": (2, 13), "jinja2": (3, 1, 6), "sentence-transformers": (6,)}


def pinned(lock: Path) -> dict[str, tuple[str, list[str]]]:
    """By package: its version, and the hashes that it may have."""
    entries = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", lock.read_text("utf-8"))).splitlines()
    found = {}
    for entry in filter(None, map(str.strip, entries)):
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[[\w,-]+\])?==([\w.+!-]+)(?: ; [^#]*?)?(?: +--hash|$)", entry)
        assert match, f"{lock.name}: {entry[:80]} is not pinned"
        found[match[1].lower().replace("_", "-")] = (
            match[2],
            re.findall(r"--hash=sha256:([0-9a-f]{64})(?= |$)", entry),
        )
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_line_of_a_lock_is_pinned_by_hash_and_names_no_registry(lock: Path) -> None:
    found = pinned(lock)
    assert found
    assert [name for name, (_, hashes) in found.items() if not hashes] == []
    assert "://" not in re.sub(r"(?m)#.*$", "", lock.read_text("utf-8"))


@pytest.mark.parametrize(("package", "floor"), FLOORS.items())
def test_nothing_is_older_than_what_is_known_to_be_mended(package: str, floor: tuple[int, ...]) -> None:
    versions = {lock.name: pinned(lock)[package][0] for lock in LOCKS if package in pinned(lock)}
    assert versions
    older = {
        name: version for name, version in versions.items() if tuple(map(int, re.findall(r"\d+", version))) < floor
    }
    assert older == {}


# What scripts/audit makes of what pip-audit found


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GOOD = {"name": "a", "version": "1", "vulns": []}
FLAWED = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "lines", "flawed"),
    [
        ([GOOD], ["audit: 1 packages, 0 known vulnerabilities"], False),
        ([GOOD, FLAWED], ["audit: b 2: CVE-1, mended in 3", "audit: 2 packages, 1 known vulnerabilities"], True),
        ([GOOD, UNKNOWN], ["audit: 1 packages, 0 known vulnerabilities; 1 could not be asked about: c"], False),
        ([UNKNOWN, UNKNOWN], ["audit: skipped, the database knows none of 2 packages (not found)"], False),
        ([], ["audit: skipped, the database knows none of 0 packages (nothing is locked)"], False),
    ],
)
def test_only_what_is_known_to_be_flawed_fails_an_audit(
    audit: ModuleType, packages: list[dict[str, Any]], lines: list[str], flawed: bool
) -> None:
    assert audit.told({"dependencies": packages}) == (lines, flawed)
