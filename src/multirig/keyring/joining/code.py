"""The code that is shown on one screen and typed at another."""

from __future__ import annotations

import secrets
import unicodedata

from multirig.errors import ConfigError

DIGITS = 6


def make_code() -> str:
    """Return a new code: six digits, each number as likely as any other."""
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"


def show_code(code: str) -> str:
    """Return a code as people read it: ``042 917``."""
    return f"{code[: DIGITS // 2]} {code[DIGITS // 2 :]}"


def read_code(text: str) -> str:
    """Return the code that was typed, with spaces or dashes or without. Raises ConfigError."""
    typed = "".join(
        one for one in unicodedata.normalize("NFKC", text) if not one.isspace() and one not in "-‐–."
    )
    if len(typed) != DIGITS or not (typed.isascii() and typed.isdecimal()):
        raise ConfigError(f"that is no code: type the {DIGITS} digits that the other screen shows")
    return typed
