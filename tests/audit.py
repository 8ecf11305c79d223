"""Asks the Python Packaging Advisory Database for known holes in the versions that the tests were run with.

``python -m tests.audit``: 0, none is known, or nobody can be asked here, which is said; 1, some are, by name.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
LIMIT = 300
"""Seconds that all answers may take."""
SKIPPED = "skipped: the check of known holes in what multirig is built on"


def run(constraints: Path = CONSTRAINTS, python: str = sys.executable) -> tuple[int, str]:
    """Return the exit code, and what is to be said."""
    command = [python, "-m", "pip_audit", "--requirement", str(constraints), "--no-deps", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "10"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return 0, f"{SKIPPED}: its database does not answer within {LIMIT} s"
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):  # it prints a table only when it has had all answers
        said = done.stderr.strip().splitlines()
        return 0, f"{SKIPPED}: its database cannot be had here ({said[-1] if said else 'it says nothing'})"
    holes = [
        f"{one['name']} {one['version']}: {hole['id']}, "
        f"mended in {', '.join(hole['fix_versions']) or 'no version yet'}"
        for one in found
        for hole in one.get("vulns", ())
    ]
    return bool(holes), "\n".join(holes) or f"no hole is known in any of {len(found)} packages"


if __name__ == "__main__":
    code, text = run()
    print(text)
    sys.exit(code)
