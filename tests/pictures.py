"""Pictures of what a program prints, as `rich` draws them, read again: so they are kept true."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path

CELL = 12.2
"""Width of a letter, as `rich` draws it."""


def read_picture(path: Path) -> list[str]:
    """Return the lines of a picture that `rich` has drawn: each text at its place, spaces left out."""
    rows: dict[float, dict[float, str]] = {}
    text = re.compile(r'<text class="[^"]*-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>')
    for left, height, words in text.findall(path.read_text(encoding="utf-8")):
        rows.setdefault(float(height), {})[float(left)] = html.unescape(words)
    lines = []
    for _, row in sorted(rows.items()):
        line = ""
        for left, words in sorted(row.items()):
            line = line.ljust(round(left / CELL)) + words
        lines.append(line.replace("\xa0", " "))
    return lines


def blur(lines: Sequence[str]) -> list[str]:
    """Return lines without what differs from one PC and day to the next."""
    blurred = []
    for line in lines:
        words = re.sub(r"udp://\S+", "udp://…", line).replace(" behind ", " ahead ")
        words = re.sub(r"[-+±]?\d+(?:[.:,-]\d+)*(?: (?:[kMGT]?B|µs|ms|s|min)\b)?", "0", words)
        words = " ".join(words.split())
        if words and "it listens at port" not in words:
            blurred.append(words)
    return blurred
