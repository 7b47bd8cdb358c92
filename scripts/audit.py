"""What pip-audit found, as lines for a person; status 1 where there is a vulnerability. For scripts/audit."""

import json
import sys
from pathlib import Path
from typing import Any


def told(found: dict[str, Any]) -> tuple[list[str], bool]:
    """The lines, and whether anything has to be mended."""
    packages = found["dependencies"]
    skipped = [package for package in packages if "skip_reason" in package]
    lines = [
        f"audit: {package['name']} {package['version']}: {flaw['id']}, "
        f"mended in {', '.join(flaw['fix_versions']) or 'no version yet'}"
        for package in packages
        for flaw in package.get("vulns", ())
    ]
    asked = len(packages) - len(skipped)
    if not asked:
        reason = skipped[0]["skip_reason"] if skipped else "nothing is locked"
        return [f"audit: skipped, the database knows none of {len(packages)} packages ({reason})"], False
    summary = f"audit: {asked} packages, {len(lines)} known vulnerabilities"
    unknown = f"; {len(skipped)} could not be asked about: {', '.join(each['name'] for each in skipped)}"
    return [*lines, summary + (unknown if skipped else "")], bool(lines)


if __name__ == "__main__":
    found = [json.loads(Path(name).read_text("utf-8")) for name in sys.argv[1:]]
    report, flawed = told({"dependencies": [package for each in found for package in each["dependencies"]]})
    print(*report, sep="\n")
    sys.exit(flawed)
