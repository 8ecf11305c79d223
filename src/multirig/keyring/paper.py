"""A lab's private key on paper: five lines that a person can type, each with a check of its own. Pure.

A line has eight bytes of the key as 13 letters, and three letters by which a typo in it is found; the last
line has four, over the whole key and the lab's name. The letters are Crockford's: no I, L, O or U, so that
nothing is taken for a digit; typed ones count as what they look like.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence

from multirig.errors import ConfigError
from multirig.trust.certificate import KEY_BYTES

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""32 of them, five bits each. Source: Crockford, Base 32."""
LOOK_ALIKES = str.maketrans("ILOU", "110V")
"""What is typed for what was read."""
PART = 8
"""Bytes in a line."""
LINES = KEY_BYTES // PART
PART_LETTERS, CHECK_LETTERS, LAST_LETTERS = 13, 3, 4
GROUP = 4
"""Letters that stand together."""


def write_paper(name: str, seed: bytes) -> list[str]:
    """Return the lines for a lab's key: four of 16 letters in groups of four, one of four."""
    parts = (seed[at : at + PART] for at in range(0, KEY_BYTES, PART))
    lines = [
        _spell(int.from_bytes(part, "big"), PART_LETTERS) + _check(bytes([number]) + part, CHECK_LETTERS)
        for number, part in enumerate(parts, 1)
    ]
    lines.append(_check(_whole(name, seed), LAST_LETTERS))
    return [" ".join(line[at : at + GROUP] for at in range(0, len(line), GROUP)) for line in lines]


def read_line(number: int, typed: str) -> bytes:
    """Return the eight bytes of one of the first four lines. Raises ConfigError: there is a typo."""
    text = _clean(typed)
    wanted = PART_LETTERS + CHECK_LETTERS
    if len(text) != wanted:
        raise ConfigError(f"line {number} has {wanted} letters, {len(text)} were typed: type it once more")
    value = _read(text[:PART_LETTERS])
    part = value.to_bytes(PART, "big") if value < 1 << (8 * PART) else None
    if part is None or text[PART_LETTERS:] != _check(bytes([number]) + part, CHECK_LETTERS):
        raise ConfigError(
            f"line {number} has a typo, or is another line: compare it with the paper, and type it again"
        )
    return part


def read_paper(name: str, typed: Sequence[str]) -> bytes:
    """Return the lab's private key. Raises ConfigError, where a line or the lab's name has a typo."""
    if len(typed) != LINES + 1:
        raise ConfigError(f"a key on paper has {LINES + 1} lines, {len(typed)} were typed")
    seed = b"".join(read_line(number, line) for number, line in enumerate(typed[:LINES], 1))
    check_end(name, seed, typed[LINES])
    return seed


def check_end(name: str, seed: bytes, typed: str) -> None:
    """Raise ConfigError unless the last line fits the lab's name and the lines before it."""
    if _clean(typed) != _check(_whole(name, seed), LAST_LETTERS):
        raise ConfigError(
            f"the last line does not fit: compare it with the paper, and the lab's name ({name}) letter by "
            "letter"
        )


def _whole(name: str, seed: bytes) -> bytes:
    return seed + unicodedata.normalize("NFC", name).encode()


def _clean(typed: str) -> str:
    letters = re.sub(r"[\s.-]", "", unicodedata.normalize("NFKC", typed)).upper().translate(LOOK_ALIKES)
    if strange := [one for one in letters if one not in LETTERS]:
        shown = strange[0] if strange[0].isprintable() else "a sign that cannot be seen"
        raise ConfigError(f"{shown} stands in no key: it has digits and letters alone")
    return letters


def _spell(value: int, count: int) -> str:
    return "".join(LETTERS[value >> (5 * place) & 31] for place in reversed(range(count)))


def _read(letters: str) -> int:
    value = 0
    for one in letters:
        value = value << 5 | LETTERS.index(one)
    return value


def _check(data: bytes, count: int) -> str:
    """Return letters by which one changed letter is missed once in 32,768 times at most."""
    return _spell(int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big"), count)
