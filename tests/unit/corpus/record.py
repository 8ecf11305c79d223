"""Plays and reads the corpus in whichever checkout it is run, and writes what comes of it into a folder.

``tests/data/corpus-0.1`` is what version 0.1 said and wrote. It is **not to be recorded again**: a difference
is either a fault of the new code, or a change that is meant, which a driver then names. Use this to see what
another checkout says, and compare the folders: ``python -m tests.unit.corpus.record FOLDER``.

The sessions themselves, and the conversations with iblutil, were recorded by running 0.1; they cannot be made
again. Of the sessions, this writes what the checkout tells of them.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.unit.corpus.conversations import PLAYS
from tests.unit.corpus.driver import Line, contract
from tests.unit.corpus.tell_sessions import NAMES, write_told


def write_lines(path: Path, lines: list[Line]) -> None:
    """Write a file of JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8", newline="\n")


def record_conversations(folder: Path) -> None:
    """Play every conversation and write down all that crossed a border."""
    for name, act in PLAYS.items():
        write_lines(folder / f"{name}.jsonl", contract(act().end()))


def record_told(folder: Path) -> None:
    """Write down what is told of every session."""
    for name in NAMES:
        with tempfile.TemporaryDirectory() as place:
            write_told(name, folder, Path(place))


if __name__ == "__main__":
    where = Path(sys.argv[1])
    record_conversations(where / "conversations")
    record_told(where / "sessions")
