"""A lab PC with Windows, under Wine: multirig is installed there by pip, and somebody sits at its console."""

from __future__ import annotations

import contextlib
import ensurepip
import itertools
import os
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyte
from rich.style import Style
from rich.text import Text
from tests.windows.wine import ROOT, Windows

if sys.platform == "win32":
    raise ImportError("a lab PC is made on Linux")

import fcntl
import pty
import struct
import termios

COLUMNS, LINES = 100, 50
LIMIT = 60
"""Seconds in which a program says what is waited for."""
PIP = next((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))


class LabPc:
    """A PC on which nothing but Python is installed yet.

    Parameters
    ----------
    windows : Windows
        Wine, with a Python for Windows and what multirig needs.
    """

    folder = r"C:\lab"
    home = r"C:\lab\you"

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.place = windows.folder / "prefix" / "drive_c" / "lab"
        windows.forget(self.place.name)
        shutil.copytree(
            windows.python.parent,
            self.place / "python",
            ignore=shutil.ignore_patterns("multirig*", "__pycache__"),
            copy_function=os.link,
        )
        self.clear()
        self.environment = {
            **windows.environment,
            "WINEPATH": r"C:\lab\python\Scripts;C:\lab\python",
            # Wine tells programs of its own user's folders, whatever the environment says
            "MULTIRIG_RIGS": rf"{self.home}\AppData\Local\multirig",
            "MULTIRIG_STATE": rf"{self.home}\AppData\Local\multirig",
            "TERM": "xterm",
        }

    def clear(self) -> None:
        """Let the user have nothing yet."""
        shutil.rmtree(self.place / "you", ignore_errors=True)
        (self.place / "you/AppData/Local/multirig").mkdir(parents=True)

    def install(self) -> str:
        """Install multirig as a lab does, by pip from a wheel; return what pip says."""
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(self.place)]
        subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
        [wheel] = self.place.glob("multirig-*.whl")
        shutil.copy(PIP, self.place)
        pip = rf"{self.folder}\{PIP.name}\pip"
        options = ["--no-index", "--no-deps", "--disable-pip-version-check"]
        return self.run("python", pip, "install", *options, rf"{self.folder}\{wheel.name}")[1]

    def run(self, *command: str) -> tuple[int, str]:
        """Run a program without a console; return its exit code and what it prints."""
        done = subprocess.run(
            [self.windows.wine, *command],
            cwd=self.place / "you",
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=2 * LIMIT,
            check=False,
        )
        return done.returncode, done.stdout.decode(errors="replace").replace("\r", "")


class WindowsConsole:
    """A program at a console of Windows, drawn by Wine on a terminal, and who sits there."""

    def __init__(self, pc: LabPc, *command: str) -> None:
        self.command = command
        self._hands, there = pty.openpty()
        fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._held = b""
        """Of what was read: a complaint that is not at its end yet."""
        self.process = subprocess.Popen(
            [pc.windows.wine, *command],
            cwd=pc.place / "you",
            env=pc.environment,
            stdin=there,
            stdout=there,
            stderr=there,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(there)

    def look(self, seconds: float) -> None:
        """See what is drawn in the next moment."""
        if select.select([self._hands], [], [], seconds)[0]:
            with contextlib.suppress(OSError):  # it has ended
                read = _COMPLAINT.sub(b"", self._held + os.read(self._hands, 65536))
                begun = _BEGUN.search(read)
                self._held = begun[0] if begun else b""
                self._stream.feed(read[: len(read) - len(self._held)])

    def expect(self, text: str) -> None:
        """Look until a text stands on the screen."""
        deadline = time.monotonic() + LIMIT
        while text not in self.words:
            assert time.monotonic() < deadline, f"no {text!r} on the screen:\n{self.words}"
            assert self.process.poll() is None or text in self._last_words(), f"no {text!r}:\n{self.words}"
            self.look(0.1)

    def _last_words(self) -> str:
        self.look(0.2)
        return self.words

    def answer(self, question: str, answer: str = "") -> None:
        """Wait for a question, and answer it; what is asked twice is on the screen twice."""
        self.expect(question)
        self.type(answer + "\r")

    def type(self, keys: str) -> None:
        """Press keys, as fast as a person does."""
        time.sleep(0.3)  # Wine's console looks at the keyboard a moment after a program has asked
        os.write(self._hands, keys.encode())

    def end(self) -> int:
        """Wait until it has ended, and return its exit code."""
        deadline = time.monotonic() + LIMIT
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end:\n{self.words}"
            self.look(0.1)
        self.look(0.2)
        return int(self.process.returncode)

    def close(self) -> None:
        """Take the console away."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._hands)

    @property
    def words(self) -> str:
        """What stands on the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def draw(self) -> list[Text]:
        """Return the lines of the screen with their colours."""
        drawn = []
        for number in range(len(self.words.splitlines())):
            cells = [self._screen.buffer[number][column] for column in range(COLUMNS)]
            line = Text()
            for (colour, bold), run in itertools.groupby(cells, key=lambda one: (one.fg, one.bold)):
                style = Style(color=_COLOURS.get(colour), bold=bold)
                line.append("".join(one.data for one in run), style)
            line.rstrip()
            drawn.append(line)
        return drawn


_COMPLAINT = re.compile(rb"(?:wine: |ALSA lib )[^\n]*\n")
"""What Wine and this PC's libraries say beside the program; its console knows nothing of it."""
_BEGUN = re.compile(rb"(?:wine: |ALSA lib )[^\n]*\Z")
_COLOURS = {
    **{one: one for one in ("red", "green", "blue", "magenta", "cyan", "white")},
    **{f"bright{one}": f"bright_{one}" for one in ("red", "green", "blue", "magenta", "cyan")},
    **{"brown": "yellow", "brightbrown": "bright_yellow", "brightblack": "bright_black"},
}
