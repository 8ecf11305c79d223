"""Which rigs may still record when a session is over, in the words of its last line. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from multirig.record.summary import Summary
from multirig.wording import listed


def say_left(summary: Summary) -> str | None:
    """Return who may still record and what ends that, in one line; None: nobody does, by its own word."""
    lines = []
    silent = {name: rig.address for name, rig in summary.rigs.items() if rig.still_records == NOT_KNOWN}
    if silent:
        lines.append(say_left_rigs(silent))
    for name, rig in summary.rigs.items():
        if rig.still_records is not None and rig.still_records != NOT_KNOWN:
            lines.append(f"{name} {rig.still_records}")
    return "; ".join(lines) or None


NOT_KNOWN = "did not confirm that it has stopped"
SAYS_SO = "says that it still records: stop it there"


def say_left_rigs(rigs: Mapping[str, str]) -> str:
    """Return that rigs may still record, and the command that ends it: by addresses, which need no rigs file.

    Parameters
    ----------
    rigs : mapping of str to str
        Name and address of each.
    """
    return (
        f"{listed([*rigs])} may still record: once {'they' if len(rigs) > 1 else 'it'} can be reached, "
        f"'multirig stop {' '.join(map(shlex.quote, rigs.values()))}' ends that, from any PC"
    )
