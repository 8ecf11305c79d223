"""Whatever rclone knows: servers by SFTP or WebDAV, shares, clouds; by the settings of the user's rclone."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from multirig.collect.control import Control
from multirig.collect.hashing import BLAKE2B, Hasher
from multirig.collect.places.base import (
    MARK_NAME,
    Destination,
    DestinationAway,
    DestinationError,
    DestinationFull,
    Digests,
    NameTaken,
    catch,
    check_name,
)
from multirig.collect.places.marks import check_mark, new_mark, parse_mark
from multirig.collect.places.rclone_daemon import Lost, Said
from multirig.collect.places.rclone_remote import HASHES, Remote
from multirig.collect.places.rclone_words import Trouble, classify
from multirig.errors import ConfigError, MultirigError

SMALL = 4 << 20
"""Bytes of a file that is written, and read back, together with others."""
GROUP, GROUP_BYTES = 64, SMALL
"""Files, and bytes, that are written in one go."""
AT_ONCE = 6
"""Groups that are written at once."""
PIECE = 1 << 22
"""Bytes that are read at once."""
AHEAD = 256 << 20
"""Bytes that are read here before rclone has read them too: they come from memory then."""
SLOWEST = 2e7
"""Bytes a second that the disk of a server reads at least; where it has hung up, the file is fetched."""
CHANGED = "it was changed while it was copied; it is tried again later"


class Rclone(Destination):
    """Files are read back by the server where that makes checksums from its disk; else they come back here.

    Parameters
    ----------
    text : str
        As the person has written it.
    remote, path : str
        Name in rclone's config, and folder there.

    Raises
    ------
    ConfigError
        rclone is not installed, or cannot be used with such a path.
    """

    can_resume = False

    def __init__(self, text: str, remote: str, path: str) -> None:
        if "]" in path or not path.isprintable():
            raise ConfigError(f"destination {text!r:.60}: its path has a ']', or what cannot be printed")
        self.text = text
        self.hashes = (BLAKE2B, HASHES[0])
        self._remote = Remote(text, f"{remote}:{path}")
        self._unhurried = Control(is_busy=lambda: False)

    def open(self, mark: str | None) -> str:
        """Return the mark in the folder; one that was never used gets one."""
        try:
            self._remote.learn()
            self.hashes = (BLAKE2B, self._remote.far or HASHES[0])
            data = self._read(MARK_NAME)
            if data is None:
                self._remote.list_folder("")
        except Said as error:
            raise self._remote.away(error) from None
        except ConfigError as error:
            raise DestinationAway(f"{self.text} cannot be used: {error}") from None
        found = parse_mark(data, f"{self.text}/{MARK_NAME}") if data is not None else None
        if found is None and mark is None:
            found, data = new_mark()
            self.write(MARK_NAME, data)
        self._remote.mark = check_mark(found, mark, self.text)
        return self._remote.mark

    def sizes(self, folder: str) -> Mapping[str, int]:
        """Return the bytes of each file below a folder."""
        top = check_name(folder).as_posix()
        try:
            told = self._remote.list_folder(top, recurse=True, filesOnly=True)
        except Said as error:
            if classify(str(error)) is not Trouble.NO_FOLDER:
                raise self._remote.tell(error) from None
            told = []
        found = {one["Path"].removeprefix(f"{top}/"): int(one["Size"]) for one in told}
        if not found:
            self._remote.guard(anew=True)
        return found

    def size(self, name: str) -> int | None:
        """Return the bytes of a file."""
        path = self._remote.name(name)
        with self._remote.telling():
            return self._remote.size(path)

    # -- sending --------------------------------------------------------------------------------------------

    def send(self, source: Path, name: str, start: int, control: Control) -> Digests:
        """Copy a file, all of it: rclone goes on with none where a break has cut it off."""
        path = self._remote.name(name)
        self._remote.guard()
        size = source.stat().st_size
        if size <= SMALL:
            [(_, told)] = self._send_group([_Small(0, source, path, size)], control, is_last=True).items()
            if isinstance(told, Mapping):
                return told
            raise told
        control.may_go_on()
        with self._remote.telling(control, room=size):
            return self._remote.again_if_lost(lambda: self._send_large(source, path, control))

    def _send_large(self, source: Path, path: str, control: Control) -> Digests:
        """Let rclone read a file, and read it here beside it: what both read comes from the disk once."""
        before = os.stat(source)
        real = Path(os.path.realpath(source))  # rclone itself follows no links
        order = {
            "srcFs": str(real.parent),
            "srcRemote": real.name,
            "dstFs": self._remote.fs,
            "dstRemote": path,
        }
        reading = _Reading(source, before.st_size, self.hashes, control)
        with reading:
            try:
                self._remote.run(("operations/copyfile", order), control, reading.follow)
            except Said as error:
                if "being updated" in str(error):
                    raise DestinationError(CHANGED) from None
                raise
            digests = reading.finish()
        after = os.stat(source)
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise DestinationError(CHANGED)
        return digests

    def _upload_to(self, path: str, most: int) -> tuple[Mapping[str, str], str]:
        """Return how files of that folder are written, as files whose bytes are known, and its own name."""
        folder, _, leaf = path.rpartition("/")
        config = json.dumps({"StreamingUploadCutoff": most + 1})
        return {"fs": self._remote.fs, "remote": folder, "_config": config}, leaf

    def send_many(
        self, files: Sequence[tuple[Path, str]], control: Control
    ) -> list[Digests | DestinationError | OSError]:
        """Copy small files, those of one folder together."""
        self._remote.guard()
        results: dict[int, Digests | DestinationError | OSError] = {}
        groups: list[list[_Small]] = []
        alone: list[int] = []
        open_groups: dict[str, tuple[list[_Small], int]] = {}
        for number, (source, name) in enumerate(files):
            try:
                path, size = self._remote.name(name), source.stat().st_size
            except (DestinationError, OSError) as error:
                results[number] = error
                continue
            if size > SMALL:
                alone.append(number)
                continue
            folder = path.rpartition("/")[0]
            group, room = open_groups.get(folder, ([], 0))
            if not group or len(group) >= GROUP or room < size:
                group, room = [], GROUP_BYTES
                groups.append(group)
            group.append(_Small(number, source, path, size))
            open_groups[folder] = (group, room - size)
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="multirig rclone") as pool:
            for told in pool.map(lambda group: self._send_group(group, control), groups):
                results |= told
        alone += [number for number in range(len(files)) if number not in results and number not in alone]
        for number in alone:
            source, name = files[number]
            results |= {number: catch(self.send, source, name, 0, control)}
        return [results[number] for number in range(len(files))]

    def _send_group(
        self, group: Sequence[_Small], control: Control, *, is_last: bool = False
    ) -> dict[int, Digests | DestinationError | OSError]:
        """Copy files of one folder; those that are not in what is returned are to be tried one by one.

        Unless it is the last try: then what is wrong is raised.
        """
        results: dict[int, Digests | DestinationError | OSError] = {}
        contents: list[tuple[_Small, bytes]] = []
        for one in group:
            control.may_go_on()
            try:
                before = os.stat(one.source)
                with open(one.source, "rb", buffering=0) as file, Hasher(self.hashes, size=0) as hasher:
                    content = file.read(SMALL + 1)
                    hasher.feed(content)
                    after = os.fstat(file.fileno())
            except OSError as error:
                results[one.number] = error
                continue
            if len(content) != before.st_size or before.st_mtime_ns != after.st_mtime_ns:
                results[one.number] = DestinationError(CHANGED)
                continue
            results[one.number] = hasher.digests()
            contents.append((one, content))
        if not contents:
            return results
        place, _ = self._upload_to(contents[0][0].path, max(len(content) for _, content in contents))

        def feed(number: int) -> Iterator[bytes]:
            control.count(len(contents[number][1]))
            yield contents[number][1]

        named = [(one.path.rpartition("/")[2], len(content)) for one, content in contents]
        try:
            self._remote.pace(control, may_crawl=False)
            self._remote.daemon.upload(place, named, feed, control)
        except (Said, Lost) as error:
            if is_last and isinstance(error, Said):
                room = sum(size for _, size in named)
                raise self._remote.tell(error, room=room, control=control) from None
            if is_last:
                raise self._remote.lost(error) from None  # type: ignore[arg-type]
            return {number: one for number, one in results.items() if not isinstance(one, Mapping)}
        return results

    def settle(self, names: Iterable[str]) -> None:
        """See that it is still there; when a server writes to its disk what it has is its own affair."""
        self._remote.guard(anew=True)

    # -- comparing ------------------------------------------------------------------------------------------

    def compare(self, name: str, digests: Digests, size: int, control: Control) -> bool:
        """Let the server make a checksum of a file, or fetch it and make one here."""
        path = self._remote.name(name)
        control.may_go_on()
        wanted = self.hashes[1]
        if wanted not in digests:
            with self._remote.telling(control):
                return self._remote.again_if_lost(lambda: self._fetch(path, digests, size, control))
        if size > SMALL and self._remote.far is not None:
            with contextlib.suppress(Said):  # where its command fails after all, the file is fetched
                order = self._remote.hash(path, wanted, fetches=False)
                limit = 60 + size / SLOWEST
                told = self._remote.again_if_lost(lambda: self._remote.run(order, control, limit=limit))
                if told.get("hash"):
                    return bool(told["hash"] == digests[wanted])
        with self._remote.telling(control):
            order = self._remote.hash(path, wanted, fetches=True)
            told = self._remote.again_if_lost(lambda: self._remote.run(order, control))
            return bool(told.get("hash") == digests[wanted])

    def _fetch(self, path: str, digests: Digests, size: int, control: Control) -> bool:
        with self._remote.daemon.download(self._remote.fs, path, control) as (found, pieces):
            with Hasher(size=size) as hasher:
                for piece in pieces:
                    control.may_go_on()
                    hasher.feed(piece)
                    control.pay(len(piece))
            return found == size and hasher.digests()[BLAKE2B] == digests[BLAKE2B]

    def compare_many(
        self, files: Sequence[tuple[str, Digests, int]], control: Control
    ) -> list[bool | DestinationError | OSError]:
        """Compare files, many small ones at once."""
        results: dict[int, bool | DestinationError | OSError] = {}
        wanted = self.hashes[1]
        together = [n for n, (_, digests, size) in enumerate(files) if size <= SMALL and wanted in digests]
        for begin in range(0, len(together), GROUP):
            numbers = together[begin : begin + GROUP]
            control.may_go_on()
            self._remote.pace(control, may_crawl=False)
            control.pay(sum(files[number][2] for number in numbers))
            paths = {}
            for number in numbers:
                with contextlib.suppress(DestinationError):
                    paths[number] = self._remote.name(files[number][0])
            orders = [self._remote.hash(path, wanted, fetches=True) for path in paths.values()]
            for number, told in zip(paths, self._remote.ask_all(orders, control), strict=True):
                if isinstance(told, Mapping):
                    results[number] = told.get("hash") == files[number][1][wanted]
        for number, given in enumerate(files):
            if number not in results:
                results[number] = catch(self.compare, *given, control)
        return [results[number] for number in range(len(files))]

    # -- naming ---------------------------------------------------------------------------------------------

    def put(self, name: str, final: str) -> None:
        """Rename a file there, after a look that there is none of that name."""
        [error] = self.put_many([(name, final)])
        if error is not None:
            raise error

    def put_many(self, names: Sequence[tuple[str, str]]) -> list[DestinationError | OSError | None]:
        """Rename files there, many at once."""
        results: dict[int, DestinationError | OSError | None] = {}
        paths: dict[int, tuple[str, str]] = {}
        for number, (name, final) in enumerate(names):
            try:
                paths[number] = self._remote.name(name), self._remote.name(final)
            except DestinationError as error:
                results[number] = error
        taken = self._remote.ask_all([self._remote.stat(final) for _, final in paths.values()])
        for number, told in zip(list(paths), taken, strict=True):
            if isinstance(told, Said):
                results[number] = _alone(self._remote.tell(told))
                del paths[number]
            elif told.get("item") is not None:
                results[number] = NameTaken(f"{names[number][1]} is there already")
                del paths[number]
        # a server that can only copy is asked to compare its own two
        config = {} if self._remote.renames else {"_config": {"IgnoreChecksum": False}}
        orders = [
            ("operations/movefile", {**self._remote.pair(name, final), **config})
            for name, final in paths.values()
        ]
        try:
            answers = self._remote.daemon.call_many(orders)
        except (Said, Lost):
            answers = [Said("it is not known whether it was done")] * len(orders)
        for number, told in zip(paths, answers, strict=True):
            results[number] = None
            if isinstance(told, Said) and (wrong := self._after_rename(told, *paths[number])) is not None:
                results[number] = _alone(wrong)
        return [results[number] for number in range(len(names))]

    def _after_rename(self, error: Said, name: str, final: str) -> DestinationError | None:
        """Return what is wrong with a file that could not be renamed, as far as it is told; None: nothing."""
        try:
            ours, theirs = self._remote.size(name), self._remote.size(final)
        except Said as second:
            return self._remote.tell(second)
        if theirs is None and ours is not None:  # a server may stumble over many at once
            order = self._remote.pair(name, final)
            try:
                self._remote.daemon.call("operations/movefile", order)
            except Said as second:
                return self._remote.tell(second)
            except Lost as second:
                return self._remote.lost(second)
            return None
        if theirs is None:
            return self._remote.tell(error)
        return None if ours is None else NameTaken(f"{final} is there already")

    def remove(self, name: str) -> None:
        """Remove a file of ours."""
        path = self._remote.name(name)
        with self._remote.telling():
            try:
                self._remote.ask(("operations/deletefile", {"fs": self._remote.fs, "remote": path}))
            except Said as error:
                if classify(str(error)) not in (Trouble.NO_FILE, Trouble.NO_FOLDER):
                    raise

    def read(self, name: str) -> bytes | None:
        """Return a small file."""
        with self._remote.telling():
            return self._read(self._remote.name(name))

    def _read(self, path: str) -> bytes | None:
        def read() -> bytes | None:
            with self._remote.daemon.download(self._remote.fs, path, self._unhurried) as (_, pieces):
                return b"".join(pieces)

        try:
            return self._remote.again_if_lost(read)
        except Said as error:
            if classify(str(error)) in (Trouble.NO_FILE, Trouble.NO_FOLDER):
                return None
            raise

    def write(self, name: str, data: bytes) -> None:
        """Write a small file under another name, and give it its own: half a file is never seen."""
        path = self._remote.name(name)
        place, leaf = self._upload_to(f"{path}.new", len(data))
        over = {"_config": {"NoCheckDest": False, "IgnoreTimes": True}}
        with self._remote.telling(room=len(data)):
            self._remote.again_if_lost(
                lambda: self._remote.daemon.upload(
                    place, [(leaf, len(data))], lambda _: [data], self._unhurried
                )
            )
            self._remote.daemon.call(
                "operations/movefile", {**self._remote.pair(f"{path}.new", path), **over}
            )

    def close(self) -> None:
        """End rclone."""
        self._remote.daemon.close()


class _Small:
    __slots__ = ("number", "path", "size", "source")

    def __init__(self, number: int, source: Path, path: str, size: int) -> None:
        self.number, self.source, self.path, self.size = number, source, path, size


def _alone(error: DestinationError) -> DestinationError:
    """Return what is wrong with one file alone; raise what is wrong with all."""
    if isinstance(error, DestinationAway | DestinationFull):
        raise error
    return error


class _Reading:
    """Reads a file here, in a thread of its own, not far ahead of who reads it too.

    Parameters
    ----------
    source : pathlib.Path
    size : int
        Bytes that are expected.
    names : sequence of str
        Which checksums are made.
    control : Control
        Is told of what has been moved; ends it, and holds it up.
    """

    def __init__(self, source: Path, size: int, names: Sequence[str], control: Control) -> None:
        self._source, self._size, self._control = source, size, control
        self._hasher = Hasher(names, size=0)
        self._moved = 0
        self._news = threading.Event()
        self._is_over = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="multirig reading", daemon=True)

    def __enter__(self) -> _Reading:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._news.set()
        self._thread.join()

    def follow(self, moved: int) -> None:
        """Take note of how far the other reader is."""
        if self._error is not None:
            raise self._error
        more = moved - self._moved
        if more > 0:
            self._moved = moved
            self._news.set()
            self._control.count(more)

    def finish(self) -> Digests:
        """Read on to the end, and return the checksums."""
        self.follow(self._size)
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._hasher.digests()

    def _run(self) -> None:
        try:
            done = 0
            with open(self._source, "rb", buffering=0) as file, self._hasher as hasher:
                while done < self._size:
                    while done > self._moved + AHEAD and not self._is_over:
                        self._news.wait(0.1)
                        self._news.clear()
                    if self._is_over:
                        return
                    self._control.may_go_on()
                    piece = file.read(min(PIECE, self._size - done))
                    if not piece:
                        raise DestinationError(CHANGED)
                    hasher.feed(piece)
                    done += len(piece)
        except (OSError, MultirigError) as error:
            self._error = error
