"""What screens say of who is let in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from multirig.keyring.door import Access
from multirig.trust.keys import SOON


def say_open() -> str:
    """Return what is said of a rig that lets in everybody."""
    return "OPEN: whoever reaches this PC may command it (open: true)"


def say_allowed(addresses: Iterable[str]) -> str:
    """Return what is said of a rig that IBL's peers may lead."""
    return f"whoever sends from {', '.join(addresses)} may lead it without a key (allow_ibl)"


class Saying(NamedTuple):
    """A line for a screen."""

    text: str
    is_warning: bool


def say_rig_access(access: Access) -> list[Saying]:
    """Return what whoever stands at a rig shall know of who may lead it."""
    if access.is_open:
        return [Saying(say_open(), True)]
    said = _say_keys(access)
    if not said:
        said = [
            Saying(
                "this PC has no key yet, so its rig serves this PC only: to let others of your lab lead it, "
                "run 'multirig key join' here",
                False,
            )
        ]
    if access.allow_ibl:
        said.append(Saying(say_allowed(access.allow_ibl), True))
    return said


def say_leading_access(access: Access) -> list[Saying]:
    """Return what whoever leads shall know of what rigs prove."""
    if access.is_open:
        return [Saying("OPEN: rigs need not prove that they are of the lab (open: true)", True)]
    return [one for one in _say_keys(access) if one.is_warning]


def _say_keys(access: Access) -> list[Saying]:
    keys = access.keys()
    said = []
    for one in keys.memberships if keys is not None else ():
        mine = one.certificate
        said.append(Saying(f"this PC is {mine.name} of the lab {mine.lab} ({mine.role})", False))
        left = mine.until - access.wall()
        day = datetime.fromtimestamp(mine.until).strftime("%Y-%m-%d")
        again = "'multirig key add' on the PC with the lab's key and 'multirig key join' here renew it"
        if left <= 0:
            said.append(
                Saying(f"the certificate of this PC is over since {day}, and nobody takes it: {again}", True)
            )
        elif left <= SOON:
            said.append(Saying(f"the certificate of this PC is over on {day}: {again}", True))
    return said
