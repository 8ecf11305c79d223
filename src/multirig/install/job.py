"""What is started at log-on, and the names under which systems know it. Pure."""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from multirig.errors import ConfigError

LONGEST = 100
"""Bytes of a name that are taken as they are: no system takes more than 255 with what stands around it."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""What no file of a system holds as it is: control characters, and bytes of a path that are no text."""
_RESERVED = re.compile(r"(?i)(console|con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?")
"""Names that a rig cannot have in a folder of Windows, and the one that the console has."""


class Kind(enum.Enum):
    """What is started."""

    RIG = "rig"
    CONSOLE = "console"

    def __str__(self) -> str:
        return self.value


CONSOLE_NAME = "console"


def _length(label: str) -> int:
    return len(label.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A rig, or the console, as it is started at log-on."""

    kind: Kind
    name: str
    """Of the rig; the console is called so."""
    program: tuple[str, ...] = ()
    """How multirig is called on this PC, by a path that an upgrade leaves as it is."""
    arguments: tuple[str, ...] = ()
    """What a terminal would be given: ``serve``, the whole path of the config, its options."""
    folder: str = ""
    """Where it is started."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that it would not have otherwise."""
    end_limit: int = 120
    """Seconds that it may need to close its files."""

    @property
    def title(self) -> str:
        """What it is called where a system lists it."""
        return f"multirig rig {self.name}" if self.kind is Kind.RIG else "multirig console"

    @property
    def is_console(self) -> bool:
        """Whether it is the console, which leads no rig's recording."""
        return self.kind is Kind.CONSOLE

    def label(self, other: str, form: str) -> str:
        """Return the name as a system can list it; no two rigs share one.

        Parameters
        ----------
        other : str
            Characters that the system does not take, as a regular expression.
        form : str
            How each byte of them is written, such as ``%{:02X}``; how that begins is one of them.
        """
        if self.is_console:
            return CONSOLE_NAME

        def write(text: str) -> str:
            return "".join(form.format(byte) for byte in text.encode())

        parts = [re.sub(other, lambda found: write(found[0]), one) for one in self.name]
        label = "".join(parts)
        if _length(label) > LONGEST:
            while _length("".join(parts)) > LONGEST:
                parts.pop()
            label = f"{''.join(parts)}-{hashlib.sha256(self.name.encode()).hexdigest()[:16]}"  # over LONGEST
        if _RESERVED.fullmatch(label):
            label = write(label[0]) + label[1:]
        return label[:-1] + write(".") if label.endswith(".") else label

    def check(self) -> None:
        """Raise ConfigError where something in it cannot stand in any system's file."""
        values = {**self.environment, "its folder": self.folder}
        for word in (*self.program, *self.arguments, *values.values()):
            if _CONTROL.search(word):
                raise ConfigError(
                    f"{word!r} holds a character that no system starts a program with: "
                    "rename that file or folder"
                )
