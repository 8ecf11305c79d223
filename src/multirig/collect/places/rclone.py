"""Whatever rclone knows: servers by SFTP or WebDAV, shares, clouds. Its settings are those of the user's rclone."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

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
    check_name,
)
from multirig.collect.places.marks import check_mark, new_mark, parse_mark
from multirig.collect.places.rclone_daemon import Lost, Said, reading_here
from multirig.collect.places.rclone_remote import HASHES, Remote
from multirig.collect.places.rclone_words import Trouble, classify
from multirig.errors import ConfigError

SMALL = 4 << 20
"""Bytes of a file that is written, and read back, together with others."""
GROUP, GROUP_BYTES = 64, 8 << 20
"""Files, and bytes, that are written in one go."""
AT_ONCE = 6
"""Groups that are written at once."""
MOST_STREAMED = 40 << 30
"""Bytes of a file that is given to rclone in pieces; what is larger it has to read itself, to cut it well."""
PIECE = 1 << 22
"""Bytes that are read at once."""
PATIENCE = 30.0
"""Seconds that a server waits for the rest of a file while this PC records; then the file is begun anew."""
CHANGED = "it was changed while it was copied; it is tried again later"

_Result = TypeVar("_Result")


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
        tries = 2
        while True:
            try:
                return self._send(source, path, control)
            except _Again:
                control.may_go_on()
            except Said as error:
                size = source.stat().st_size
                raise self._remote.tell(error, room=size, control=control) from None
            except Lost as error:
                tries -= 1
                if not tries:
                    raise self._remote.lost(error) from None

    def _send(self, source: Path, path: str, control: Control) -> Digests:
        before = os.stat(source)
        size = before.st_size
        names = self.hashes if size <= SMALL or self._remote.far is not None else (BLAKE2B,)
        with open(source, "rb", buffering=0) as file, Hasher(names, size=size) as hasher:
            if size <= SMALL or (self._remote.streams and size <= MOST_STREAMED):
                pieces = _read_pieces(file, size, control, hasher, is_counted=True)
                place, leaf = self._upload_to(path, size)
                self._remote.daemon.upload(place, [(leaf, size)], lambda _: pieces, control)
            else:
                for _ in _read_pieces(file, size, control, hasher, is_counted=False):
                    pass
                self._let_copy(source, path, control)
            after = os.fstat(file.fileno())
        if (after.st_size, after.st_mtime_ns) != (size, before.st_mtime_ns):
            raise DestinationError(CHANGED)
        return hasher.digests()

    def _upload_to(self, path: str, most: int) -> tuple[Mapping[str, str], str]:
        folder, _, leaf = path.rpartition("/")
        place = {"fs": self._remote.fs, "remote": folder}
        if most <= SMALL:  # then it is written as a file whose bytes are known, by every kind of server
            place["_config"] = json.dumps({"StreamingUploadCutoff": most + 1})
        return place, leaf

    def _let_copy(self, source: Path, path: str, control: Control) -> None:
        """Let rclone read a file by itself; a recording that begins meanwhile ends that."""
        ask = self._remote.daemon.call
        ask("core/bwlimit", {"rate": f"{int(control.rate)}B" if control.rate else "off"}, control)
        group = f"multirig-{secrets.token_hex(4)}"
        order = {
            "srcFs": str(source.parent.absolute()),
            "srcRemote": source.name,
            "dstFs": self._remote.fs,
            "dstRemote": path,
        }
        job = ask("operations/copyfile", {**order, "_async": True, "_group": group}, control)["jobid"]
        counted = 0
        is_over = False
        try:
            while not is_over:
                if control.wait(0.1):
                    control.raise_if_ended()
                if control.must_wait():
                    raise _Again
                moved = int(ask("core/stats", {"group": group, "short": True}, control).get("bytes", 0))
                told = ask("job/status", {"jobid": job}, control)
                is_over = bool(told.get("finished"))
                control.count(max(0, moved - counted))
                counted = max(counted, moved)
        finally:
            if not is_over:
                with contextlib.suppress(Said, Lost):
                    ask("job/stop", {"jobid": job})
        if not told.get("success"):
            raise Said(str(told.get("error")))

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
            results |= {number: _catch(lambda: self.send(source, name, 0, control))}  # noqa: B023
        return [results[number] for number in range(len(files))]

    def _send_group(
        self, group: Sequence[_Small], control: Control
    ) -> dict[int, Digests | DestinationError | OSError]:
        """Copy files of one folder; those that are not in what is returned are to be tried one by one."""
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
            self._remote.daemon.upload(place, named, feed, control)
        except (Said, Lost):
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
        with self._remote.telling(control):
            if size <= SMALL and self.hashes[1] in digests:
                control.pay(size)
                told = self._remote.ask(self._remote.hash(path, self.hashes[1], fetches=True), control)
                return bool(told.get("hash") == digests[self.hashes[1]])
            if self._remote.far is not None and self._remote.far in digests:
                with contextlib.suppress(Said):
                    told = self._remote.ask(self._remote.hash(path, self._remote.far, fetches=False), control)
                    if told.get("hash"):
                        return bool(told["hash"] == digests[self._remote.far])
            return self._remote.again_if_lost(lambda: self._fetch_and_compare(path, digests, size, control))

    def _fetch_and_compare(self, path: str, digests: Digests, size: int, control: Control) -> bool:
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
                results[number] = _catch(lambda: self.compare(*given, control))  # noqa: B023
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
                results[number] = self._remote.tell(told)
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
            failed = isinstance(told, Said)
            results[number] = self._after_rename(told, *paths[number]) if isinstance(told, Said) else None
            if failed and isinstance(results[number], DestinationAway | DestinationFull):
                raise results[number]  # type: ignore[misc]
        return [results[number] for number in range(len(names))]

    def _after_rename(self, error: Said, name: str, final: str) -> DestinationError | None:
        """Return what is wrong with a file that could not be renamed, as far as it is told; None: nothing."""
        try:
            ours, theirs = self._remote.size(name), self._remote.size(final)
        except Said as second:
            return self._remote.tell(second)
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


class _Again(Exception):
    """A file is begun anew: this PC has recorded for longer than a server waits for the rest."""


class _Small:
    __slots__ = ("number", "path", "size", "source")

    def __init__(self, number: int, source: Path, path: str, size: int) -> None:
        self.number, self.source, self.path, self.size = number, source, path, size


def _catch(do: Callable[[], _Result]) -> _Result | DestinationError | OSError:
    try:
        return do()
    except (DestinationAway, DestinationFull):
        raise
    except (DestinationError, OSError) as error:
        return error


def _read_pieces(
    file: Any, size: int, control: Control, hasher: Hasher, *, is_counted: bool
) -> Iterator[bytes]:
    """Yield so many bytes of a file here, as fast as they may be moved."""
    left = size
    most = PIECE if not control.rate else max(1 << 14, min(PIECE, int(control.rate / 4)))
    while left:
        since = time.monotonic()
        control.may_go_on()
        if time.monotonic() - since > PATIENCE and is_counted:
            raise _Again
        with reading_here():
            piece = file.read(min(most, left))
        if not piece:
            raise DestinationError(CHANGED)
        hasher.feed(piece)
        left -= len(piece)
        yield piece
        if is_counted:
            control.count(len(piece))
