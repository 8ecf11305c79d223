"""What the commands for keys have in common: how a key and a day are written, and questions about a PC."""

from __future__ import annotations

import datetime
import socket
import time

from multirig.cli import render
from multirig.cli.interview import Interview, read_yes
from multirig.errors import ConfigError, TrustError
from multirig.keyring import Keyring
from multirig.keyring.place import VARIABLE, find_far_disk
from multirig.trust.certificate import Certificate, check_name
from multirig.trust.roles import MEANING, Role

NO_ROLE = "no"


def show_id(id_: str) -> str:
    """Return the number of a key as people compare it: ``3f1c 09aa 7be2 4410``."""
    return " ".join(id_[at : at + 4] for at in range(0, len(id_), 4))


def day(seconds: int) -> str:
    """Return the day of a moment, ``2031-11-29``."""
    return datetime.datetime.fromtimestamp(seconds).astimezone().date().isoformat()


def choose_name(given: str | None, ring: Keyring) -> str:
    """Return what this PC is called: as given, as before, or as the system calls it. Raises ConfigError."""
    name = given or ring.name or socket.gethostname().partition(".")[0] or "this PC"
    return read_name(name)


def read_name(text: str) -> str:
    """Return the name of a PC or a lab. Raises ConfigError where it cannot be one."""
    try:
        return check_name(text)
    except TrustError as error:
        raise ConfigError(str(error)) from None


def warn_of_far_disk(ring: Keyring) -> None:
    """Say where the keys lie on another PC's disk: whoever rules that PC can read them."""
    if (kind := find_far_disk(ring.folder)) is not None:
        render.warn(
            f"{ring.folder} lies on a disk of another PC ({kind}): whoever rules that one can read the "
            f"keys; let {VARIABLE} name a folder on this PC"
        )


def warn_of_old_role(before: Certificate | None, role: Role | None) -> None:
    """Say where a PC has had a right that it keeps: what was signed once counts until it is over."""
    if before is None or role in (None, before.role, Role.LEAD) or before.until <= time.time():
        return
    render.warn(
        f"the certificate by which {before.name} {MEANING[before.role]} counts until {day(before.until)} "
        f"all the same: to take that away, shut it out (multirig key shut-out {before.id}), and let it "
        "join with a new key (multirig key join --new-key)"
    )


def confirm(question: str, *, asks: bool, default: str = "no") -> bool:
    """Return whether the person at this PC means it; without questions it is meant. Raises ConfigError."""
    if not asks:
        return True
    if not render.has_keyboard():
        raise ConfigError(
            f"nobody is there to answer ({question}): give --yes if it is meant; nothing was done"
        )
    return Interview(asks=True).ask(f"{question}, yes or no", default, read_yes)


def ask_role(given: Role | None, *, asks: bool) -> Role | None:
    """Return as what a PC may join; None: it may not. Without questions as given, or as a rig."""
    if not asks:
        return given or Role.RIG
    if not render.has_keyboard():
        raise ConfigError(
            "nobody is there to say what the PC may do: give --role and --yes; nothing was done"
        )
    say_roles()
    question, default = role_question(given)
    return Interview(asks=True).ask(question, default, read_role)


def say_roles() -> None:
    """Print what each role means."""
    for role in (Role.RIG, Role.LEAD, Role.LOOK):
        render.say(f"  {role.value:<5} {MEANING[role]}")


def role_question(given: Role | None) -> tuple[str, str]:
    """Return the question as what a PC may join, and what Enter means."""
    return "May it join: as rig, lead or look, or no", (given or Role.RIG).value


def read_role(text: str) -> Role | None:
    """Return what was typed; None: it may not join. Raises ConfigError."""
    word = text.strip().lower()
    if word in (NO_ROLE, "n"):
        return None
    try:
        return Role(word)
    except ValueError:
        raise ConfigError(f"{text!r} is none of them: type rig, lead, look or no") from None


def warn_of_clock(certificate: Certificate, now: float) -> None:
    """Say of a new certificate that it is over already: a clock is wrong."""
    if certificate.until <= now:
        render.warn(
            f"by this PC's clock it is {day(int(now))}, and that is over: set the clock that is wrong, here "
            "or on the PC with the lab's key; if it was that one, join again"
        )
