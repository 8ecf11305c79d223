"""What rclone says went wrong, in one line that may be shown, and what kind of trouble it is. Pure."""

from __future__ import annotations

import re
from enum import Enum

MOST = 240
"""Characters that are shown."""

_LOGIN = re.compile(r"(://)[^/@\s]+@")
_QUERY = re.compile(r"(https?://[^\s?\"']+)\?[^\s\"':]+")
_SECRET = re.compile(
    r"(?i)\b(pass(?:word)?|secret[\w-]*|token|access_key[\w-]*|authorization|bearer)(\s*[=:]\s*|\s+)"
    r"(\"[^\"]*\"|'[^']*'|[^\s,;]+)"
)
_CONFIG = re.compile(r"(?:[A-Za-z]:)?[^\s\"']*rclone[^\s\"']*\.conf\b")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Trouble(Enum):
    """What kind of trouble it is."""

    FULL = (
        "no space left", "not enough space", "not enough storage", "insufficient storage",
        "insufficient space", "insufficient_space", "disk full", "disk quota exceeded", "quota exceeded",
        "quotaexceeded", "quotalimitreached", "over quota", "quota has been exceeded", "quota limit",
        "storage_limit_exceeded", "storage cap exceeded", "storage allocation", "storagefull",
        "minimum free drive threshold", "507 ",
    )  # fmt: skip
    REFUSED = (
        "unable to authenticate", "401 unauthorized", "403 forbidden: invalid", "logon is invalid",
        "logon failure", "login incorrect", "530 ", "invalidaccesskeyid", "signaturedoesnotmatch",
        "invalid_grant", "couldn't fetch token", "invalid credentials", "incorrect password",
        "wrong password", "authentication failed", "account has been locked", "user account",
    )  # fmt: skip
    AWAY = (
        "connection refused", "couldn't connect", "no such host", "i/o timeout", "timed out", "unreachable",
        "connection reset", "connection lost", "no route to host", "broken pipe", "host is down",
        "handshake failed", "key mismatch", "deadline exceeded", "use of closed network connection",
        "bad gateway", "service unavailable", "gateway timeout", "unexpected eof",
    )  # fmt: skip
    UNKNOWN = ("didn't find section in config file",)
    NO_FILE = ("object not found", "is a directory not a file")
    NO_FOLDER = ("directory not found",)
    OTHER = ()


def classify(text: str) -> Trouble:
    """Return what kind of trouble a text of rclone tells of."""
    lower = text.casefold()
    for kind in Trouble:
        if any(one in lower for one in kind.value):
            return kind
    return Trouble.OTHER


def clean(text: str) -> str:
    """Return a text of rclone in one line, without logins, keys, or where its config lies."""
    text = " ".join(_COLOUR.sub("", text).split())
    text = _LOGIN.sub(r"\1", text)
    text = _QUERY.sub(r"\1", text)
    text = _SECRET.sub(r"\1\2…", text)
    text = _CONFIG.sub("rclone's config", text)
    text = "".join(one if one.isprintable() else "?" for one in text)
    return text if len(text) <= MOST else f"{text[: MOST - 1]}…"
