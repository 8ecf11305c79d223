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
    hinders: bool = False
    """Whether nothing can be led by that key."""


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
    """Return what whoever leads shall look after before rigs are led; nothing where all is well."""
    if access.is_open:
        return [Saying("OPEN: rigs need not prove that they are of the lab (open: true)", True)]
    said = [one for one in _say_keys(access) if one.is_warning]
    keys = access.keys()
    roles = [one.certificate.role for one in keys.memberships] if keys is not None else []
    if roles and not any(role.leads for role in roles):
        what = "look on, and not lead" if any(role.looks for role in roles) else "be led, and not lead"
        said.append(
            Saying(
                f"this PC's key may {what}: join again ('multirig key add' on the PC with the lab's key, "
                "'multirig key join' here) and answer lead there",
                True,
                hinders=True,
            )
        )
    return said


def _say_keys(access: Access) -> list[Saying]:
    keys = access.keys()
    said = []
    if access.watch is not None and access.watch.trouble is not None:
        text = (
            f"this PC's keys cannot be read any more, those from before still count: {access.watch.trouble}"
        )
        said.append(Saying(text, True))
    for one in keys.memberships if keys is not None else ():
        mine = one.certificate
        if one.shut_out is not None and mine.id in one.shut_out.keys:
            text = (
                f"this PC was shut out of the lab {mine.lab}, and nobody of it speaks to it: if it is to "
                "come back, 'multirig key join --new-key' here"
            )
            said.append(Saying(text, True, hinders=True))
            continue
        said.append(Saying(f"this PC is {mine.name} of the lab {mine.lab} ({mine.role})", False))
        left = mine.until - access.wall()
        today = datetime.fromtimestamp(access.wall()).strftime("%Y-%m-%d")
        day = datetime.fromtimestamp(mine.until).strftime("%Y-%m-%d")
        again = "'multirig key add' on the PC with the lab's key and 'multirig key join' here renew it"
        if left <= 0:
            said.append(
                Saying(
                    f"the certificate of this PC is over since {day}, and nobody takes it: {again}; "
                    f"but set this PC's clock first if it is not {today}",
                    True,
                    hinders=True,
                )
            )
        elif left <= SOON:
            said.append(Saying(f"the certificate of this PC is over on {day}: {again}", True))
    return said
