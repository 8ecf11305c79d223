"""What a rig means to a session: does it go on without it, after whom does it begin, how long may it take."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from multirig.errors import ConfigError


class Role(str, enum.Enum):
    """What becomes of a session when a rig fails."""

    ESSENTIAL = "essential"
    """Nothing begins without it, and everything is interrupted when it is lost."""
    EXPECTED = "expected"
    """Nothing begins without it; when it is lost, the others go on and the session is DEGRADED."""
    OPTIONAL = "optional"
    """The session begins and goes on without it."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class RigPolicy:
    """What a rig means to the sessions that it takes part in."""

    role: Role = Role.EXPECTED
    """What becomes of the session when this rig fails."""
    after: tuple[str, ...] = ()
    """Rigs that are ready, and record, before this one is asked to; it is stopped before them."""
    initialise: int | None = None
    """Nanoseconds that the step may take on this rig; None: as on every other."""
    start: int | None = None
    stop: int | None = None
    cleanup: int | None = None
    poll_every: int | None = None
    """Nanoseconds between two polls of a wire-1.0 rig's status while it records; None: it is not asked."""


DEFAULT_POLICY = RigPolicy()
"""Of a rig of which nothing else is said."""


def waves(names: Iterable[str], policies: Mapping[str, RigPolicy]) -> list[list[str]]:
    """Return the rigs in groups that may go at once, each after those that it waits for.

    A rig that is waited for and takes no part in the session is not waited for.

    Raises
    ------
    ConfigError
        Rigs that wait for each other.
    """
    left = list(names)
    out: list[list[str]] = []
    while left:
        wave = [one for one in left if not {*policies.get(one, DEFAULT_POLICY).after} & {*left}]
        if not wave:
            raise ConfigError(
                f"{', '.join(left)} wait for each other: correct 'after' in the rigs file, one must be first"
            )
        out.append(wave)
        left = [one for one in left if one not in wave]
    return out
