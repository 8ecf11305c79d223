"""Records the corpus, from whichever checkout it is run in.

``tests/data/corpus-0.1`` is what version 0.1 said and wrote. It is **not to be recorded again**:
a difference is either a fault of the new code, or a change that is meant, which `driver.py` then names. Use
this to see what another checkout says, in a folder of its own: ``python -m tests.unit.corpus.record FOLDER``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.unit.corpus.conversations import PLAYS
from tests.unit.corpus.driver import Line, contract


def write_lines(path: Path, lines: list[Line]) -> None:
    """Write a file of JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines)
    path.write_text(text, encoding="utf-8", newline="\n")


def record_conversations(folder: Path) -> None:
    """Play every conversation and write down all that crossed a border."""
    for name, act in PLAYS.items():
        write_lines(folder / "conversations" / f"{name}.jsonl", contract(act().end()))


if __name__ == "__main__":
    where = Path(sys.argv[1])
    record_conversations(where)
