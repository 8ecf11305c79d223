"""A name that a server would keep under another one is found."""

from __future__ import annotations

import pytest

from multirig.collect.places.rclone_names import find_trouble

WINDOWS = (
    "Slash,LtGt,DoubleQuote,Colon,Question,Asterisk,Pipe,BackSlash,Ctl,RightSpace,RightPeriod,InvalidUtf8,Dot"
)


@pytest.mark.parametrize(
    ("path", "encoding", "trouble"),
    [
        ("raw/left.mp4", WINDOWS, None),
        ("raw/é 日本 [1] #%&.mp4", WINDOWS, None),
        ("raw/a:b", WINDOWS, "has ':'"),
        ("raw/a：b", WINDOWS, "has '：'"),
        ("raw/a:b", "Slash,Dot", None),
        ("raw/a\x01b", WINDOWS, "has a control character (U+0001)"),
        ("raw/a\x7fb", "Slash,Del", "has a control character (U+007F)"),
        ("raw/a␡b", "Slash,Del", "has '␡'"),
        ("raw /a", WINDOWS, "ends with a space"),
        ("raw/a.", WINDOWS, "ends with '.'"),
        (" raw/a", "LeftSpace", "begins with a space"),
        ("raw/~a", "LeftTilde", "begins with '~'"),
        ("raw/a\nb", "CrLf", "has a control character (U+000A)"),
        ("raw/a‛b", "None", "has '‛'"),
        ("raw/a\udcff", "None", "is no text"),
        ("raw/[a]", "SquareBracket", "has '['"),
        ("raw/a;b!", "Semicolon, Exclamation", "has ';'"),
        ("raw/.hidden ~ a", "", None),
    ],
)
def test_what_would_be_changed_is_named(path: str, encoding: str, trouble: str | None) -> None:
    assert find_trouble(path, encoding) == trouble
