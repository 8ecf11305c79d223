"""Who writes what: rigs that would write one file, or take each other's for their own, are found. Pure.

A rig says what it writes by patterns of paths below the session folder, in which ``*`` stands for any
characters, slashes too, and ``?`` for one. Letters count as on Windows: ``Left`` and ``left`` are one file.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from multirig.protocol.words import Info

EVERYTHING = "*"
"""As the last part of a pattern: which files these will be is not known before they are there."""


def is_owned(path: str, patterns: Iterable[str]) -> bool:
    """Whether a path, with forward slashes, fits one of the patterns."""
    return any(_compile(pattern).fullmatch(path.casefold()) for pattern in patterns)


@lru_cache(maxsize=4096)
def may_meet(one: str, other: str) -> bool:
    """Whether there is a path that fits both patterns."""
    ones, others = one.casefold(), other.casefold()
    # two hundred rigs are twenty thousand pairs, and nearly all of them differ at once
    if not (_begin_alike(ones, others) and _begin_alike(ones[::-1], others[::-1])):
        return False
    after = [False] * len(others) + [True]
    """Whether what is left of one may meet what is left of the other from each of its places on."""
    for place in reversed(range(len(others))):
        after[place] = others[place] == "*" and after[place + 1]
    for mine in reversed(ones):
        here = [mine == "*" and after[-1]] * (len(others) + 1)
        for place in reversed(range(len(others))):
            theirs = others[place]
            if "*" in (mine, theirs):
                here[place] = after[place] or here[place + 1]
            else:
                here[place] = after[place + 1] and (mine == theirs or "?" in (mine, theirs))
        after = here
    return after[0]


def _begin_alike(ones: str, others: str) -> bool:
    """Whether two patterns may meet, by what stands before the first ``*`` of either."""
    for mine, theirs in zip(ones, others, strict=False):
        if "*" in (mine, theirs):
            return True
        if mine != theirs and "?" not in (mine, theirs):
            return False
    return True


def find_clash(answers: Mapping[str, Info]) -> tuple[str, str, str] | None:
    """Return two rigs that cannot both record, and why, in words that follow their names; None: all can.

    Parameters
    ----------
    answers : mapping of str to Info
        What each rig has said of itself.
    """
    for (name, info), (other, theirs) in itertools.combinations(answers.items(), 2):
        if why := _object_to_names(info, theirs) or _object_to_files(info, theirs):
            return name, other, why
    return None


def _object_to_names(info: Info, theirs: Info) -> str | None:
    if info.name is None or theirs.name is None or info.name.casefold() != theirs.name.casefold():
        return None
    return (
        f"both are called {info.name} in their own configs, by which their lists of files are called: write "
        "another 'name' into one of them; if it is one rig under two addresses, take one of these out"
    )


def _object_to_files(info: Info, theirs: Info) -> str | None:
    is_one_folder = info.folder is not None and info.folder == theirs.folder
    for one, other in itertools.product(info.writes, theirs.writes):
        # in two folders whole collections come together later, and their files may well differ
        if may_meet(one, other) and (is_one_folder or not (_is_wide(one) or _is_wide(other))):
            what = one if one == other else f"{one} and {other}"
            where = "in one folder" if is_one_folder else "and one would replace the other's on a server"
            return f"both write {what} {where}: {_say_remedy(info, theirs, is_one_folder=is_one_folder)}"
    return None


def _is_wide(pattern: str) -> bool:
    return pattern.rpartition("/")[2] == EVERYTHING


def _say_remedy(info: Info, theirs: Info, *, is_one_folder: bool) -> str:
    adapters = {info.adapter, theirs.adapter}
    if adapters == {"camera"}:
        return "give a camera of one of them another 'label' in its config"
    own = "give one of them a 'collection' of its own in its config"
    if "process" in adapters and is_one_folder:
        return f"{own}, or say there by 'writes' which files are its"
    return own


@lru_cache(maxsize=256)
def _compile(pattern: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(one, re.escape(one)) for one in pattern.casefold()), re.DOTALL)
