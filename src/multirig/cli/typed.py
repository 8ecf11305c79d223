"""What the person at this PC is to type next, as their terminal takes it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def program() -> str:
    """Return how multirig is called in the terminal of the person at this PC."""
    called = Path(sys.argv[0])
    if shutil.which("multirig") is not None:
        return "multirig"
    return join([str(called)] if called.stem == "multirig" else [sys.executable, "-m", "multirig"])


def join(words: Sequence[str]) -> str:
    """Return words as a shell takes them."""
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)
