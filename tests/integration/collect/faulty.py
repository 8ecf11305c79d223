"""A destination on which anything may go wrong, at a step that is chosen before."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from multirig.collect.control import Control
from multirig.collect.ledger import Ledger
from multirig.collect.places import Destination, DestinationAway, DestinationError, DestinationFull, Digests
from multirig.collect.places.folder import Folder
from multirig.collect.states import Known
from multirig.protocol.exp_ref import ExpRef


class Crash(BaseException):
    """The program was killed."""


class Power:
    """Whether the program that is tried lives; once it was killed, nothing of it does anything any more."""

    def __init__(self) -> None:
        self.is_off = False
        self._left: int | None = None

    def fail_after(self, steps: int | None) -> None:
        """Let the program die at so many steps from now; None: not at all."""
        self._left = steps

    def step(self) -> None:
        """Something is about to be done. Raises Crash."""
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                self.is_off, self._left = True, None
        if self.is_off:
            raise Crash

    def back(self) -> None:
        """Start another program."""
        self.is_off, self._left = False, None


class MortalLedger(Ledger):
    """Writes nothing once its program is dead."""

    def __init__(self, file: Path, power: Power) -> None:
        super().__init__(file)
        self._power = power

    def write(self, root: Path, exp_ref: ExpRef, mark: str, news: Mapping[str, Known]) -> None:
        self._power.step()
        super().write(root, exp_ref, mark, news)


FAULTS = ("away", "full", "error", "cut", "crash in a file", "flip", "misread", "placed", "crash in a rename")


class Faulty(Destination):
    """A folder; ``fault`` happens at its n-th call, the others work.

    Parameters
    ----------
    inner : Folder
    power : Power
    fault : str, optional
        One of `FAULTS`.
    at : int
        At which of the calls that it can happen at.
    place : callable
        Lets somebody else put a file there, under the name that it is given.
    """

    def __init__(
        self,
        inner: Folder,
        power: Power,
        fault: str | None = None,
        at: int = 0,
        place: Callable[[str], None] = lambda name: None,
    ) -> None:
        self.text = inner.text
        self.root = inner.root
        self._inner, self._power, self._fault, self._left, self._place = inner, power, fault, at, place

    def _is_now(self, *faults: str) -> bool:
        """Whether it is now that it goes wrong: once."""
        if self._fault not in faults:
            return False
        self._left -= 1
        if self._left >= 0:
            return False
        self._fault = None
        return True

    def _call(self) -> None:
        self._power.step()
        for fault, error in (
            ("away", DestinationAway("it is away")),
            ("full", DestinationFull("it is full")),
            ("error", DestinationError("it does not take it")),
        ):
            if self._is_now(fault):
                raise error

    def open(self, mark: str | None) -> str:
        self._power.step()
        return self._inner.open(mark)

    def sizes(self, folder: str) -> Mapping[str, int]:
        self._call()
        return self._inner.sizes(folder)

    def size(self, name: str) -> int | None:
        self._call()
        return self._inner.size(name)

    def send(self, source: Path, name: str, start: int, control: Control) -> Digests:
        self._call()
        content = source.read_bytes()
        is_crash = self._is_now("crash in a file")
        if is_crash or self._is_now("cut"):
            self._send_other(content[: start + (len(content) - start) // 2], name, start, control)
            self._power.is_off = is_crash
            raise Crash if is_crash else DestinationAway("it went away in the middle of a file")
        if self._is_now("flip") and len(content) > start:
            spoilt = content[:-1] + bytes([content[-1] ^ 1])
            self._send_other(spoilt, name, start, control)
            with tempfile.TemporaryDirectory() as folder:  # the checksum is of what was read here
                beside = Folder(folder, Path(folder))
                return beside.send(source, "copy", 0, control)
        return self._inner.send(source, name, start, control)

    def _send_other(self, content: bytes, name: str, start: int, control: Control) -> None:
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(content)
        try:
            self._inner.send(Path(file.name), name, start, control)
        finally:
            os.unlink(file.name)

    def settle(self, names: Iterable[str]) -> None:
        self._call()
        list(names)

    def compare(self, name: str, digests: Digests, size: int, control: Control) -> bool:
        self._call()
        return not self._is_now("misread") and self._inner.compare(name, digests, size, control)

    def put(self, name: str, final: str) -> None:
        self._call()
        if self._is_now("placed"):
            self._place(final)
        if self._is_now("crash in a rename"):  # both names are there: there is no one step for it
            (self.root / final).parent.mkdir(parents=True, exist_ok=True)
            if not (self.root / final).exists():
                os.link(self.root / name, self.root / final)
            self._power.is_off = True
            raise Crash
        self._inner.put(name, final)

    def remove(self, name: str) -> None:
        self._call()
        self._inner.remove(name)

    def is_here(self, name: str, path: Path) -> bool:
        return self._inner.is_here(name, path)

    def read(self, name: str) -> bytes | None:
        self._call()
        return self._inner.read(name)

    def write(self, name: str, data: bytes) -> None:
        self._call()
        self._inner.write(name, data)
