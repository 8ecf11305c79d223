"""Text and names as NWB's files can hold them. Pure."""

from __future__ import annotations

import re
import sys
from collections.abc import Container

from multirig.wording import clean, discreet

_ADDRESS = re.compile(r"\s*\(\w+://[^\s)]+\)|\b\w+://[^\s),;]+")
"""In brackets it is told beside what is said; elsewhere something has to stand in its place."""
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")


def plain(text: str) -> str:
    """Return a text that HDF5 can hold, whatever it has in it: breaks of lines stay, controls do not."""
    return clean(text, sys.maxsize, keep="\n\t")


def publishable(text: str) -> str:
    """Return what was said of a session without the addresses of the lab's PCs, and without secrets."""
    return plain(_ADDRESS.sub(lambda found: "" if found[0].endswith(")") else "…", discreet(text)))


def object_name(name: str, taken: Container[str] = ()) -> str:
    """Return a name for an object or a column in the file: no two become one.

    Parameters
    ----------
    name : str
        As a person, or a rig's config, has it.
    taken : container of str
        Names that there are.
    """
    made = _NOT_IN_NAMES.sub("_", plain(name)).strip(".") or "_"
    number = 2
    found = made
    while found in taken:
        found = f"{made}_{number}"
        number += 1
    return found
