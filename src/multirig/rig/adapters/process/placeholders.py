"""The placeholders in a program's command, environment and folder: checked early, filled for a session."""

from __future__ import annotations

import string
import sys
from collections.abc import Iterable
from datetime import date

from multirig.errors import ConfigError
from multirig.rig.adapter import Session

_SAMPLES: dict[str, object] = {
    "exp_ref": "2024-05-06_1_mouse",
    "subject": "mouse",
    "date": date(2024, 5, 6),
    "sequence": 1,
    "session_folder": "session",
    "folder": "folder",
    "python": "python",
}
"""The placeholders, with a value of each one's type to try a text on."""


def check_placeholders(key: str, texts: Iterable[str]) -> None:
    """Raise ConfigError if a text, which stands under `key`, could not be filled."""
    for text in texts:
        try:
            names = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
            if unknown := names - _SAMPLES.keys():
                raise ConfigError(
                    f"{key}: {text!r} holds the unknown placeholder {{{min(unknown)}}}: "
                    f"known are {', '.join(f'{{{name}}}' for name in _SAMPLES)}; double a literal brace"
                )
            text.format_map(_SAMPLES)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(
                f"{key}: {text!r} is not as it must be ({error}); double a literal brace"
            ) from None


def fill_placeholders(text: str, session: Session) -> str:
    """Return the text with a session in place of its placeholders."""
    values: dict[str, object] = {
        "exp_ref": str(session.exp_ref),
        "subject": session.exp_ref.subject,
        "date": session.exp_ref.date,
        "sequence": session.exp_ref.sequence,
        "session_folder": str(session.session_folder),
        "folder": str(session.folder),
        "python": sys.executable,
    }
    return text.format_map(values)
