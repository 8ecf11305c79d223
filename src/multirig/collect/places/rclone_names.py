"""Names that a kind of server cannot hold: rclone would store them under others, without a word. Pure.

The rules are those of https://rclone.org/overview/#encoding.
"""

from __future__ import annotations

_FULL_WIDTH = 0xFEE0
"""From a printable character to its wide twin, which rclone writes instead."""
_SYMBOL = 0x2400
"""From a control character to its picture, likewise."""
_QUOTE = "‛"
"""Before what is meant literally."""

_ANYWHERE = {
    "Slash": "/",
    "LtGt": "<>",
    "DoubleQuote": '"',
    "SingleQuote": "'",
    "BackQuote": "`",
    "Dollar": "$",
    "Colon": ":",
    "Question": "?",
    "Asterisk": "*",
    "Pipe": "|",
    "Hash": "#",
    "Percent": "%",
    "BackSlash": "\\",
    "CrLf": "\r\n",
    "Del": "\x7f",
    "Ctl": "".join(map(chr, range(1, 0x20))),
    "SquareBracket": "[]",
    "Semicolon": ";",
    "Exclamation": "!",
}
_FIRST = {"LeftSpace": " ", "LeftPeriod": ".", "LeftTilde": "~", "LeftCrLfHtVt": "\t\n\v\r"}
_LAST = {"RightSpace": " ", "RightPeriod": ".", "RightCrLfHtVt": "\t\n\v\r"}


def find_trouble(path: str, encoding: str) -> str | None:
    """Return what in a path would be written otherwise; None: nothing.

    Parameters
    ----------
    path : str
        With forward slashes.
    encoding : str
        As rclone's settings have it, such as ``Slash,Colon,RightSpace``.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        return "is no text"
    rules = {one.strip() for one in encoding.split(",")}
    within = _with_twins("".join(found for rule, found in _ANYWHERE.items() if rule in rules))
    first = _with_twins("".join(found for rule, found in _FIRST.items() if rule in rules))
    last = _with_twins("".join(found for rule, found in _LAST.items() if rule in rules))
    for part in path.split("/"):
        for one in part:
            if one in within or one in (_QUOTE, chr(_SYMBOL)):
                return f"has {_tell(one)}"
        if part[:1] in first:
            return f"begins with {_tell(part[0])}"
        if part[-1:] in last:
            return f"ends with {_tell(part[-1])}"
    return None


def _with_twins(characters: str) -> frozenset[str]:
    twins = (chr(ord(one) + (_FULL_WIDTH if "!" <= one <= "~" else _SYMBOL)) for one in characters)
    return frozenset((*characters, *("␡" if one == chr(_SYMBOL + 0x7F) else one for one in twins)))


def _tell(character: str) -> str:
    if character in (" ", "\t"):
        return "a space"
    return repr(character) if character.isprintable() else f"a control character (U+{ord(character):04X})"
