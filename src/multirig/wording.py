"""Figures, times and lists as people read them: on the screen, on the page and in an account. Pure."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any

# -- how many, how much ----------------------------------------------------------------------------------


def count(number: int, noun: str) -> str:
    """Return ``1 rig``, ``2 rigs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def grouped(number: int) -> str:
    """Return a count with thin spaces between the thousands."""
    return f"{number:,}".replace(",", "\u202f")


def size(count: float) -> str:
    """Return bytes in the unit that fits."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def rate(per_second: float) -> str:
    """Return frames in a second."""
    return f"{per_second:.1f}/s"


def listed(names: Sequence[str], *, most: int = 4) -> str:
    """Return ``left, right and ephys``; of many only the first, and how many more."""
    if len(names) > most:
        return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def refused(counts: Mapping[str, int]) -> str | None:
    """Return ``3 refused messages from 192.168.1.77``; None where nobody was refused.

    Parameters
    ----------
    counts : mapping of str to int
        How many of each address; who was refused last, and is named, stands at the end.
    """
    if not counts:
        return None
    host, number = [*counts.items()][-1]
    return f"{count(number, 'refused message')} from {host}"


def one_line(text: str) -> str:
    """Return a text without its line breaks."""
    return " ".join(text.split())


_BREAKS = "\t\n\x0b\x0c\r\x85\u2028\u2029"
_UNSEEN = re.compile(
    # controls, marks that turn the direction of what follows, and halves of a letter that no file takes
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""What changes how other text is shown, and is no text itself; the directions are those of Unicode's TR 9."""
LONG_NAME, LONG_SENTENCE = 100, 4_000
"""Characters that are taken of a name, and of any other text, that comes from elsewhere."""


def clean(text: str, most: int = LONG_SENTENCE, *, keep: str = "") -> str:
    """Return a text from elsewhere as one that forges nothing: on one line, of at most so many characters.

    Breaks become spaces; controls and marks of direction ``\ufffd``, so that two names never become one.
    Those in `keep` stay.
    """
    if text.isprintable() and len(text) <= most:  # as nearly all are
        return text
    if len(text) > most:
        text = f"{text[: most - 1]}…"
    return _UNSEEN.sub(
        lambda found: found[0] if found[0] in keep else " " if found[0] in _BREAKS else "\ufffd", text
    )


def clean_values(value: Any) -> Any:
    """Return a JSON value, each text in it cleaned; keys as well."""
    match value:
        case str():
            return clean(value)
        case Mapping():
            return {
                clean(key, LONG_NAME) if isinstance(key, str) else key: clean_values(item)
                for key, item in value.items()
            }
        case list() | tuple():
            return [clean_values(item) for item in value]
    return value


_FORMULA = re.compile(r"'*[=+@\t\r-]")


def to_cell(text: str) -> str:
    """Return a text for a table in a file; what a spreadsheet takes for a formula has ``'`` before it."""
    return f"'{text}" if _FORMULA.match(text) else text


def from_cell(cell: str) -> str:
    """Return the text that `to_cell` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


# -- what nobody is to read ------------------------------------------------------------------------------

_SECRET = (
    r"(?:pass|pwd|psw|secret|token|credential)[\w.-]*"
    r"|(?<![a-z])(?:(?:api|access|auth|private|secret)[_.-]?)?(?:key|auth|sig|signature)"
)
"""Settings that hold a secret: how their names begin, or what they are."""
_OPTION = r"(?:password|passwd|passwort|pass|pwd|token|secret|api[_-]?key|key|auth)"
"""Options of a command line that do; a space may stand behind them, so that no others are meant."""
_WORD = r"\S+?(?=[]:;,.)'\"]*(?:\s|$))"
"""A word without what closes it in a sentence."""

_SECRETS = (
    # to the last @ of the word: cameras take passwords with /, : and @ in them, and so does FFmpeg
    (re.compile(r"((?<![\w+.-])[\w+.-]+://)\S*@"), r"\1***@"),
    # whatever a query asks: each maker of cameras has names of its own for who may look
    (re.compile(rf"((?<![\w+.-])[\w+.-]+://[^\s?]*\?){_WORD}"), r"\1***"),
    (re.compile(rf"(authorization['\"]?\s*[:=]\s*['\"]?)(?:\w+\s+)?{_WORD}", re.IGNORECASE), r"\1***"),
    (re.compile(rf"((?:{_SECRET})['\"]?=)(?:'[^']*'|\"[^\"]*\"|[^\s&;]+)", re.IGNORECASE), r"\1***"),
    (re.compile(rf"((?<![\w-])--?{_OPTION}['\"]?[ =,]+['\"]?){_WORD}", re.IGNORECASE), r"\1***"),
)


LONG_WORD, LONG_TEXT = 1_000, 100_000
"""Characters from which on nobody reads a word, and a text: the search for secrets takes time."""
_LONG = re.compile(rf"\S{{{LONG_WORD + 1},}}")


def shortened(text: str) -> str:
    """Return a text that a person may read: what is endless in it by its beginning and its length.

    Nothing of a secret is shown thereby that `discreet` would have found in the whole.
    """
    if len(text) > LONG_TEXT:
        half = LONG_TEXT // 2
        text = (
            f"{text[:half].rpartition(' ')[0]} … ({len(text)} characters) … {text[-half:].partition(' ')[2]}"
        )
    return _LONG.sub(_shorten, text) if len(text) > LONG_WORD else text


def _shorten(found: re.Match[str]) -> str:
    word = found[0]
    scheme, mark, _ = word.partition("://")
    if mark:
        return f"{scheme[-40:]}://***"
    return f"{re.split('[=:@]', word, maxsplit=1)[0][:100]}… ({len(word)} characters)"


def discreet(text: str) -> str:
    """Return a text without the passwords and keys that addresses and command lines in it hold.

    A word or a text that is too long to be read is shortened; see `shortened`.
    """
    text = shortened(text)
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def discreet_address(address: str) -> str:
    """Return an address without its password and its query, even where there are spaces in them."""
    return discreet(re.sub(r"\s", "%20", address)) if "://" in address else discreet(address)


def discreet_values(value: Any) -> Any:
    """Return a JSON value, each text in it without its secrets."""
    match value:
        case str():
            return discreet(value)
        case Mapping():
            return {key: discreet_values(item) for key, item in value.items()}
        case list() | tuple():
            return [discreet_values(item) for item in value]
    return value


# -- how long --------------------------------------------------------------------------------------------


def about(seconds: float) -> str:
    """Return a stretch of time to plan with: whole days, hours or minutes, seconds where it is short."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    if minutes < 180:
        return f"{minutes:.0f} min"
    hours = minutes / 60
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"


def duration(seconds: float) -> str:
    """Return how long something took."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def span(seconds: float, *, digits: int | None = None) -> str:
    """Return a short time with the digits that count when clocks are compared, or with so many."""
    if abs(seconds) >= 1.0:
        return f"{seconds:.{2 if digits is None else digits}f} s"
    if digits is None:
        digits = 3 if abs(seconds) < 1e-4 else 2
    return f"{seconds * 1000:.{digits}f} ms"


def since(seconds: float | None, *, digits: int = 1) -> str:
    """Return how long after the beginning something was; nothing where that is not known."""
    return "" if seconds is None else f"{seconds:+.{digits}f} s"


def stopwatch(seconds: float) -> str:
    """Return a stretch of time as a stopwatch shows it: ``07:31``, ``1:07:31``."""
    whole = max(0, int(seconds))
    hours, minutes, left = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02d}:{left:02d}" if hours else f"{minutes:02d}:{left:02d}"


def ago(seconds: float, *, is_fresh: bool = True) -> str:
    """Return how long ago something was, to the second it matters: what is fresh does not flicker."""
    return "now" if seconds < 3 and is_fresh else f"{about(seconds)} ago"


# -- clocks ----------------------------------------------------------------------------------------------


def time_of_day(time: object) -> str:
    """Return the time of day of an ISO time."""
    try:
        return datetime.datetime.fromisoformat(str(time)).strftime("%H:%M:%S")
    except ValueError:
        return "?"


def ahead(seconds: float) -> str:
    """Return how far a clock is from another, with the digits that count."""
    distance = f"{abs(seconds):.6f} s" if abs(seconds) >= 1.0 else f"{abs(seconds) * 1e3:.4f} ms"
    return f"{distance} {'behind' if seconds < 0 else 'ahead'}"


def clock_offset(seconds: float, bound: float | None) -> str:
    """Return at a glance what is known of a clock: ``+1.23 ms ± 12 µs``."""
    value = _glance(seconds, plus="+")
    return value if bound is None else f"{value} ± {_glance(bound)}"


def _glance(seconds: float, *, plus: str = "") -> str:
    distance = abs(seconds)
    if distance < 0.0000005:
        return "0 µs"
    if distance < 0.0001:
        return f"{seconds * 1e6:{plus}.0f} µs"
    if distance < 1:
        return f"{seconds * 1e3:{plus}.2f} ms"
    if distance < 1000:
        return f"{seconds:{plus}.2f} s"
    return f"{seconds / 3600:{plus}.1f} h"
