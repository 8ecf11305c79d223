"""``multirig key new``, ``show``, ``shut-out``, ``paper`` and ``forget``."""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Callable
from typing import TypeVar

from multirig.cli import render
from multirig.cli.interview import Interview
from multirig.cli.key_words import choose_name, confirm, day, read_name, show_id, warn_of_far_disk
from multirig.cli.typed import program
from multirig.errors import ConfigError
from multirig.keyring import Keyring
from multirig.keyring.paper import LINES, check_end, read_line, write_paper
from multirig.trust.certificate import Certificate, Lab, LabKey, key_id
from multirig.trust.keys import SOON, Keys
from multirig.trust.roles import MEANING, Role

DAY = 86_400
"""Seconds."""

_Taken = TypeVar("_Taken")


# -- a lab's key ---------------------------------------------------------------------------------------------


def make(lab: str | None, name: str | None, *, from_paper: bool, another: bool, asks: bool) -> None:
    """Make a lab's key here, or type one from paper."""
    ring = Keyring()
    known = ring.lab_keys()
    if known and not (another or from_paper):
        raise ConfigError(
            f"this PC holds the key of the lab {known[0].name} already: multirig key add lets other PCs "
            "join it; give --another to make one more, by which a lab changes its key"
        )
    member = ring.read()
    if member is not None and member.memberships and not (another or from_paper):
        raise ConfigError(
            f"this PC is of the lab {member.memberships[0].lab.name} already, whose key lies on another PC: "
            "others join by that one (multirig key add there); give --another if this PC is to make a key "
            "all the same, of another lab"
        )
    own_name = choose_name(name, ring)
    interview = Interview(asks=asks and render.has_keyboard())
    lab = interview.ask("What is the lab called", known[0].name if known else "mylab", read_name, lab)
    seed = _type_paper(lab) if from_paper else None
    own = ring.make_own_key(own_name)
    key = ring.make_lab_key(lab, seed)
    keys = ring.read()
    if keys is None:
        raise ConfigError(f"{ring.folder}: what was just written there is gone")
    certificate = ring.certify(key, keys.public, own.name, Role.LEAD)
    ring.add(key.lab, certificate)
    render.done(f"this PC holds the key of the lab {lab} now: {show_id(key.lab.id)}")
    render.done(f"this PC, {own.name}, is of it, until {day(certificate.until)}: it {MEANING[Role.LEAD]}")
    render.say(f"  the keys lie in {ring.folder}, where only you can read them; keep no copy on a share")
    warn_of_far_disk(ring)
    if from_paper:
        render.warn(
            "the paper does not say who was shut out: before this PC shuts out another one, take the list "
            "from a PC of the lab (multirig key list-file FILE there, multirig key take FILE here)"
        )
    called = program()
    render.show_lines("Let each other PC join; this shows how:", [f"{called} key add"])
    if not from_paper:
        render.show_lines(
            "Write the lab's key on paper once, in case this PC breaks:", [f"{called} key paper"]
        )


def _type_paper(lab: str) -> bytes:
    """Return a lab's private key as it is typed, line by line; a typo is told at once."""
    parts = [_type_line(number) for number in range(1, LINES + 1)]
    seed = b"".join(parts)
    _retype("Last line", lambda text: check_end(lab, seed, text))
    return seed


def _type_line(number: int) -> bytes:
    return _retype(f"Line {number}", lambda text: read_line(number, text))


def _retype(question: str, check: Callable[[str], _Taken]) -> _Taken:
    while True:
        try:
            text = render.ask(f"{question}:")
        except EOFError:
            raise ConfigError("the key was not typed to its end: nothing was kept") from None
        try:
            return check(text)
        except ConfigError as error:
            if not render.has_keyboard():
                raise
            render.warn(str(error))


def show_paper(lab: str | None, *, asks: bool) -> None:
    """Show a lab's private key."""
    key = Keyring().find_lab_key(lab)
    if not confirm(f"Whoever sees it can let PCs join {key.name}. Show its key on this screen", asks=asks):
        render.say("nothing was shown")
        return
    today = datetime.date.today().isoformat()
    heading = f"The key of the lab {key.name}, {show_id(key.lab.id)}, written down on {today}:"
    render.show_lines(heading, write_paper(key.name, key.seed))
    if not render.out.is_terminal:
        render.warn(
            "the key went into a file or another program, not onto a screen: see that it stays nowhere"
        )
    render.say("write it by hand or print it, and lock it away; no photo, and no file")
    render.say("to type it on another PC: multirig key new --from-paper; the lab's name has to be the same")


def forget(lab: str, *, asks: bool) -> None:
    """Leave a lab."""
    ring = Keyring()
    found, has_key = _find_lab(ring, lab)
    question = f"Leave the lab {found.name}"
    if has_key:
        question = f"The key of the lab {found.name} lies here: unless it is on paper it is lost. Remove it"
    if not confirm(question, asks=asks):
        render.say("nothing was changed")
        return
    ring.forget(found)
    render.done(f"this PC is of the lab {found.name} no more{', and has its key no more' if has_key else ''}")


def _find_lab(ring: Keyring, wanted: str) -> tuple[Lab, bool]:
    """Return a lab that this PC is of, or has the key of, and whether it has."""
    with_key = {one.lab.id: one.lab for one in ring.lab_keys()}
    keys = ring.read()
    labs = {**with_key, **{one.lab.id: one.lab for one in (keys.memberships if keys is not None else ())}}
    chosen = [one for one in labs.values() if wanted in (one.name, one.id) or _plain(wanted) == one.id]
    if len(chosen) == 1:
        return chosen[0], chosen[0].id in with_key
    known = ", ".join(f"{one.name} ({one.id})" for one in labs.values()) or "none"
    if not chosen:
        raise ConfigError(f"this PC knows of no lab {wanted!r}; of these it does: {known}")
    raise ConfigError(f"several labs are called {wanted}: give the number of one of {known}")


# -- who is of it --------------------------------------------------------------------------------------------


def show() -> None:
    """Show what this PC is, and on the lab's PC all others."""
    ring = Keyring()
    keys = ring.read()
    name = ring.name
    if keys is None or name is None:
        render.say(
            "this PC has no key: rigs here serve this PC only; to join a lab type multirig key join, to "
            "make a lab's key multirig key new"
        )
        return
    render.show_lines(f"This PC: {name}", [f"its key  {show_id(_id(keys))}", f"in       {ring.folder}"])
    warn_of_far_disk(ring)
    if not keys.memberships:
        render.say("it is of no lab: multirig key join")
    for one in keys.memberships:
        lost = one.shut_out.keys if one.shut_out is not None else frozenset()
        words = _say_end(one.certificate, lost)
        render.show_lines(
            f"Lab: {one.lab.name}",
            [
                f"its key  {show_id(one.lab.id)}",
                f"this PC  {one.certificate.role.value}: {MEANING[one.certificate.role]}, {words}",
            ],
        )
        _warn(one.certificate, lost, "let this PC join again (multirig key join)")
    for key in ring.lab_keys():
        _show_pcs(ring, key)


def _id(keys: Keys) -> str:
    return key_id(keys.public)


def _show_pcs(ring: Keyring, key: LabKey) -> None:
    register = ring.register(key.lab)
    lost = register.shut_out.keys if register.shut_out is not None else frozenset()
    newest = register.newest()
    rows = [
        (one.name, one.role.value, _say_end(one, lost), show_id(one.id))
        for one in sorted(newest.values(), key=lambda one: one.name)
    ]
    rows += [("?", "", "shut out", show_id(id_)) for id_ in sorted(lost - newest.keys())]
    render.show_lines(f"The key of the lab {key.name} lies here; its PCs:", [])
    render.show_table(("PC", "role", "", "its key"), rows)
    for one in newest.values():
        _warn(one, lost, "multirig key renew tells how")


def _say_end(certificate: Certificate, lost: frozenset[str]) -> str:
    if certificate.id in lost:
        return "shut out"
    return f"{'over since' if certificate.until <= time.time() else 'until'} {day(certificate.until)}"


def _warn(certificate: Certificate, lost: frozenset[str], cure: str) -> None:
    left = certificate.until - time.time()
    if certificate.id in lost or left > SOON:
        return
    when = "is over" if left <= 0 else f"is over in {int(left // DAY)} days"
    render.warn(f"the certificate of {certificate.name} {when}: {cure}")


def shut_out(pc: str, lab: str | None, *, asks: bool) -> None:
    """Shut a PC out of a lab."""
    ring = Keyring()
    key = ring.find_lab_key(lab)
    keys, register = ring.read(), ring.register(key.lab)
    lost = register.shut_out.keys if register.shut_out is not None else frozenset()
    found = [one for one in register.newest().values() if pc == one.name or _plain(pc) == one.id]
    left = [one for one in found if one.id not in lost]
    if found and not left:
        render.say(f"{pc} is shut out of the lab {key.name} already")
        return
    if len(left) > 1:
        known = ", ".join(f"{one.id} ({one.role.value}, since {day(one.since)})" for one in left)
        raise ConfigError(f"several PCs are called {pc}: give the number of one of their keys: {known}")
    if not left and not re.fullmatch("[0-9a-f]{16}", _plain(pc)):
        raise ConfigError(
            f"the lab {key.name} has certified no PC {pc!r}: multirig key show has their names and numbers"
        )
    id_, name = (
        (left[0].id, left[0].name) if left else (_plain(pc), f"the PC with the key {show_id(_plain(pc))}")
    )
    if keys is not None and id_ == _id(keys):
        raise ConfigError("that is this PC, which holds the lab's key: multirig key forget leaves the lab")
    if not confirm(f"Shut {name} out of the lab {key.name}", asks=asks):
        render.say("nothing was changed")
        return
    made = ring.shut_out(key, [id_])
    render.done(f"{name} is shut out of the lab {key.name}")
    render.say(
        f"  PCs that speak with this one get the list of those that are shut out ({len(made.keys)} by "
        "now); for others, by a stick: multirig key list-file FILE here, multirig key take FILE there"
    )
    render.say(
        "  what it leads, or records, is not ended by that: a rig that records on is ended by multirig stop "
        "RIG, the one of that PC at its own keyboard"
    )


def _plain(typed: str) -> str:
    return typed.replace(" ", "").lower()
