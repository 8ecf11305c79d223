"""One remote of rclone: what kind of server it is, what it is asked, and how its trouble is told."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from multirig.collect.control import Control, Ended
from multirig.collect.places.base import (
    MARK_NAME,
    DestinationAway,
    DestinationError,
    DestinationFull,
    check_name,
)
from multirig.collect.places.rclone_daemon import Daemon, Lost, Said
from multirig.collect.places.rclone_names import find_trouble
from multirig.collect.places.rclone_program import find_rclone
from multirig.collect.places.rclone_words import Trouble, classify, clean
from multirig.errors import ConfigError

HASHED_THERE = {"sftp", "local"}
"""Kinds of servers that make a checksum from their disk each time they are asked; others may only repeat what
they were told when the file came."""
HASHES = ("sha256", "sha1", "md5")
"""What `hashlib` can do too, the best first."""
CRAWL = 32 << 10
"""Bytes a second that are moved while this PC records: no server hangs up, no disk is kept busy."""
LOOK_EVERY = 0.1
"""Seconds between two looks how far something is."""
GUARD_EVERY = 2.0
"""Seconds for which a destination that was seen is thought to be there."""

_Result = TypeVar("_Result")
Order: TypeAlias = tuple[str, Mapping[str, Any]]
"""What is asked, and with which parameters."""


class Remote:
    """What a destination knows of its remote.

    Parameters
    ----------
    text : str
        As the person has written it.
    fs : str
        As rclone calls it.
    """

    def __init__(self, text: str, fs: str) -> None:
        self.text, self.fs = text, fs
        self.daemon = Daemon(find_rclone())
        self.renames = True
        """Whether it renames without a copy."""
        self.far: str | None = None
        """The checksum that the server makes from its disk."""
        self.mark: str | None = None
        """By which it is known, once it is open."""
        self._encoding = ""
        self._seen_at = float("-inf")
        self._lock = threading.Lock()
        self._rate: tuple[int, str] = (0, "")

    def learn(self) -> None:
        """Ask what kind of server it is, and what it can do."""
        told = self.ask(("operations/fsinfo", {"fs": self.fs}))
        features = told["Features"]
        if not (features.get("Move") or features.get("Copy")):
            raise ConfigError("that kind of server cannot rename a file, so nothing could be put there whole")
        self.renames = bool(features.get("Move"))
        name = str(told["Name"])
        settings = self.ask(("config/get", {"name": name}))
        kind = str(settings.get("type") or os.environ.get(f"RCLONE_CONFIG_{name.upper()}_TYPE") or name)
        encoding = settings.get("encoding")
        if encoding is None:
            for one in self.ask(("config/providers", {}))["providers"]:
                if one["Name"] == kind:
                    found = [two["DefaultStr"] for two in one["Options"] if two["Name"] == "encoding"]
                    encoding = found[0] if found else ""
        self._encoding = str(encoding or "")
        there = [one for one in HASHES if one in (told.get("Hashes") or ())]
        self.far = there[0] if there and kind in HASHED_THERE else None
        if kind == "webdav" and "pacer_min_sleep" not in settings and ":" in self.fs:
            # it would wait 10 ms before each of its requests, of which a small file needs ten
            name, _, path = self.fs.partition(":")
            self.fs = f"{name},pacer_min_sleep=1ms:{path}"

    def name(self, name: str) -> str:
        """Return a name as a path there. Raises DestinationError: it cannot be kept as it is."""
        path = check_name(name).as_posix()
        if (trouble := find_trouble(path, self._encoding)) is not None:
            raise DestinationError(
                f"its name {trouble}, which {self.text} cannot keep as it is: rename the file, "
                "or collect to a folder"
            )
        return path

    def stat(self, path: str) -> Order:
        """Return what is asked to know whether a file is there, and its bytes."""
        options = {"filesOnly": True, "noModTime": True, "noMimeType": True}
        return "operations/stat", {"fs": self.fs, "remote": path, "opt": options}

    def hash(self, path: str, name: str, *, fetches: bool) -> Order:
        """Return what is asked for a checksum; rclone fetches the file for it, or the server makes it."""
        order = {"fs": self.fs, "remote": path, "hashType": name, "download": fetches}
        if not fetches:  # nothing passes while the server reads its disk: it has links of its own for that
            remote, _, folder = self.fs.partition(":")
            order |= {"fs": f"{remote},description=checksums:{folder}", "_config": {"Timeout": "24h"}}
        return "operations/hashsumfile", order

    def pair(self, name: str, final: str) -> dict[str, str]:
        """Return what is asked to rename a file."""
        return {"srcFs": self.fs, "srcRemote": name, "dstFs": self.fs, "dstRemote": final}

    def guard(self, *, anew: bool = False) -> None:
        """See that the place is there: below one that is not mounted a server would make all folders anew."""
        if self.mark is None or (not anew and time.monotonic() - self._seen_at < GUARD_EVERY):
            return
        try:
            is_there = self.size(MARK_NAME) is not None
        except Said as error:
            raise self.away(error) from None
        if not is_there:
            raise DestinationAway(f"{self.text} is gone: connect the share or the disk there again")
        self._seen_at = time.monotonic()

    def size(self, path: str, control: Control | None = None) -> int | None:
        """Return the bytes of a file; None: there is none. Raises Said."""
        item = self.ask(self.stat(path), control).get("item")
        return None if item is None or item.get("IsDir") else int(item["Size"])

    def list_folder(self, path: str, **options: bool) -> Sequence[Mapping[str, Any]]:
        """Return what lies in a folder. Raises Said, DestinationAway."""
        opt = {"noModTime": True, "noMimeType": True, **options}
        told = self.ask(("operations/list", {"fs": self.fs, "remote": path, "opt": opt}))
        return [*(told.get("list") or ())]

    def ask(self, order: Order, control: Control | None = None) -> Mapping[str, Any]:
        """Ask for what may be asked twice. Raises Said, DestinationAway, Ended."""
        path, parameters = order
        return self.again_if_lost(lambda: self.daemon.call(path, parameters, control))

    def ask_all(
        self, orders: Sequence[Order], control: Control | None = None
    ) -> Sequence[Mapping[str, Any] | Said]:
        """Ask for many things at once that may be asked twice; return each answer, or what is wrong."""
        try:
            return self.again_if_lost(lambda: self.daemon.call_many(orders, control))
        except Said as error:
            return [error] * len(orders)

    def pace(self, control: Control, *, may_crawl: bool = True) -> None:
        """Let rclone move so many bytes a second as it may now: next to none while this PC records.

        Who lets it crawl sees to it that it goes on again: what is small is not begun at all then.
        """
        rate = (
            f"{CRAWL}B"
            if may_crawl and control.must_wait()
            else f"{int(control.rate)}B"
            if control.rate
            else "off"
        )
        with self._lock:
            now = (self.daemon.generation, rate)
            if now != self._rate:
                self.ask(("core/bwlimit", {"rate": rate}), control)
                self._rate = (self.daemon.generation, rate)

    def run(
        self,
        order: Order,
        control: Control,
        on_moved: Callable[[int], None] = lambda moved: None,
        limit: float = float("inf"),
    ) -> Mapping[str, Any]:
        """Let something be done that takes its time, and return what comes of it.

        While this PC records it crawls on, so that the server does not lose patience; if it is to end, it is
        stopped.

        Parameters
        ----------
        order : tuple
            What is asked.
        control : Control
            Ends it, and holds it up.
        on_moved : callable
            Is told how many bytes have been moved; what it raises ends it.
        limit : float
            Seconds after which it is given up.

        Raises
        ------
        Said, Lost, Ended
            As `Daemon.call`.
        """
        ask = self.daemon.call
        path, parameters = order
        group = f"multirig-{secrets.token_hex(4)}"
        self.pace(control)
        job = ask(path, {**parameters, "_async": True, "_group": group}, control)["jobid"]
        born = self.daemon.generation
        told: Mapping[str, Any] = {}
        pause = 0.005
        deadline = time.monotonic() + limit
        try:
            while not told.get("finished"):
                if control.wait(pause):
                    control.raise_if_ended()
                pause = min(2 * pause, LOOK_EVERY)
                if time.monotonic() > deadline:
                    raise Said(f"i/o timeout: it was not done after {limit:.0f} s")
                self.pace(control)
                moved = ask("core/stats", {"group": group, "short": True}, control, born).get("bytes", 0)
                on_moved(int(moved))
                told = ask("job/status", {"jobid": job}, control, born)
        finally:
            with contextlib.suppress(Said, Lost, Ended):
                if not told.get("finished"):
                    ask("job/stop", {"jobid": job}, None, born)
                self.pace(control, may_crawl=False)
        if not told.get("success"):
            raise Said(str(told.get("error")))
        output: Mapping[str, Any] = told.get("output") or {}
        return output

    def again_if_lost(self, do: Callable[[], _Result]) -> _Result:
        """Do it once more with a new rclone, if that has ended meanwhile."""
        try:
            return do()
        except Lost:
            pass
        try:
            return do()
        except Lost as error:
            raise self.lost(error) from None

    # -- what goes wrong ------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def telling(self, control: Control | None = None, room: int = 0) -> Iterator[None]:
        """Say what went wrong there in our words."""
        try:
            yield
        except Said as error:
            raise self.tell(error, room=room, control=control) from None
        except Lost as error:
            raise self.lost(error) from None

    def lost(self, error: Lost) -> DestinationAway:
        """Return an error for an rclone that has ended."""
        return DestinationAway(f"{self.text}: rclone has ended by itself, or was ended ({error}); try again")

    def away(self, error: Said) -> DestinationAway:
        """Return an error for a place that cannot be used."""
        words = clean(str(error))
        match classify(str(error)):
            case Trouble.REFUSED:
                why = f"refuses the user or the password: put them right with 'rclone config' ({words})"
            case Trouble.UNKNOWN:
                why = "names no remote of rclone: 'rclone listremotes' shows them, 'rclone config' makes one"
            case Trouble.NO_FOLDER | Trouble.NO_FILE:
                why = "is not there: connect the disk there, or make the folder"
            case Trouble.AWAY:
                why = f"cannot be reached: is the server on, and the network? ({words})"
            case _:
                why = f"cannot be used: {words}"
        return DestinationAway(f"{self.text} {why}")

    def tell(self, error: Said, *, room: int = 0, control: Control | None = None) -> DestinationError:
        """Return an error for what rclone says; where that may mean anything, look what is the matter."""
        kind = classify(str(error))
        if kind is Trouble.FULL or (room and kind is Trouble.OTHER and self._lacks(room, control)):
            return DestinationFull(f"{self.text} is full: free space there")
        if kind in (Trouble.REFUSED, Trouble.UNKNOWN):
            return self.away(error)
        try:
            is_there = self.size(MARK_NAME, control) is not None
        except Said as second:
            return self.away(error if kind is Trouble.AWAY else second)
        except DestinationError as second:
            return second
        if self.mark is not None and not is_there:
            return DestinationAway(f"{self.text} is gone: connect the share or the disk there again")
        if kind is Trouble.NO_FILE:
            return DestinationError(f"{self.text} does not have it any more")
        return DestinationError(f"{self.text} does not take it, or give it: {clean(str(error))}")

    def _lacks(self, room: int, control: Control | None) -> bool:
        """Whether it says that it has less than that: by SFTP a full disk is a failure without a reason."""
        try:
            told = self.ask(("operations/about", {"fs": self.fs}), control)
        except (Said, DestinationError):
            return False
        free = told.get("free")
        return isinstance(free, int) and free < room
