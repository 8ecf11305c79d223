"""The session's process as a child of the console, out of reach of whatever ends the console."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from multirig.errors import MultirigError, why_not


def output_file(state_file: Path) -> Path:
    """Return the file that holds what a session's process, and its task, print."""
    return state_file.with_suffix(".out")


def spawn(state_file: Path, commission: bytes) -> subprocess.Popen[bytes]:
    """Start the process, out of reach of whatever ends the console."""
    output = output_file(state_file)
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        # no console of ours, no Ctrl-C meant for us, and no window
        options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    try:
        state_file.parent.mkdir(parents=True, exist_ok=True)
        with open(output, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "multirig.dashboard.leading", str(state_file.absolute())],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                **options,
            )
    except OSError as error:
        raise MultirigError(
            f"the session's process cannot be started ({why_not(error)}): "
            f"check the disk and the rights of {state_file.parent}"
        ) from error
    # somebody has to take its exit code, else it stays a zombie
    threading.Thread(target=process.wait, name="end of a session", daemon=True).start()
    if process.stdin is not None:
        with contextlib.suppress(OSError), process.stdin as pipe:  # it has ended already: its output says why
            pipe.write(commission)
    return process


def last_line(path: Path) -> str:
    """Return the last line of a file that has something on it; empty where there is none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
