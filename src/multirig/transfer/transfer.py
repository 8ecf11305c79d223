"""Hands a recorder's part of a session over to IBL's pipeline: to this PC at once, to the server later.

The server may be away for any time, and a dead share blocks for tens of seconds: it is spoken to in a thread
of its own, for which nothing waits, again after some time, and again when the next session begins.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from multirig.errors import LocalProtocolError, why_not
from multirig.protocol.exp_ref import ExpRef
from multirig.transfer import folder as beside
from multirig.transfer.folder import Handover, Part
from multirig.transfer.server import (
    NamesakeThere,
    ServerAway,
    copy_records,
    digest_of,
    find_rival,
    register,
    unregister,
    write_stub,
)
from multirig.transfer.waiting import forget_waiting, list_waiting, note_waiting

AGAIN = (5.0, 30.0, 120.0, 600.0)
"""Seconds after which the server is tried again, one after the other, once a session is over."""

log = logging.getLogger("multirig.transfer")


class Transfer:
    """What one recorder on this PC does for IBL's pipeline; it may be told from any thread, and never raises.

    Parameters
    ----------
    who : str
        Who records: a rig's name, or a task's.
    tell : callable
        Is given a line for whoever sits here.
    again : sequence of float
        Seconds after which the server is tried again when a session is over.
    """

    def __init__(
        self,
        who: str,
        tell: Callable[[str], object] = lambda _: None,
        again: Sequence[float] = AGAIN,
    ) -> None:
        self.conflict: str | None = None
        """Why the present folder cannot be copied as a whole."""
        self.away: str | None = None
        """What stands between the present session and the server; None: nothing that is known."""
        self._entered: tuple[Path, str] | None = None
        """Of which folder the server knows that something is recorded now, and as which device."""
        self._who = who
        self._tell = tell
        self._again = tuple(again)
        self._turn = threading.Lock()
        self._newest = threading.Event()
        """Set when the tries that go on are of no more use."""
        self._thread: threading.Thread | None = None

    def begin(self, folder: Path, exp_ref: ExpRef, part: Part) -> None:
        """Describe what is recorded from now on, and enter it on the server."""
        self.conflict = self.away = None
        self._entered = None
        note_waiting(folder)
        now = self._write(lambda: beside.open_part(folder, str(exp_ref), self._who, part))
        if now is not None:
            self._object(now.conflict)
        self._speak(folder, exp_ref, part, again=())

    def finish(self, folder: Path, exp_ref: ExpRef, part: Part) -> None:
        """Leave the flag, if anything was recorded, and see to it that the server knows of it."""
        self._write(lambda: beside.close_part(folder, str(exp_ref), self._who, part))
        self._speak(folder, exp_ref, part, again=self._again)

    def wait(self, seconds: float) -> bool:
        """Wait for the server for so long, at most; return whether nothing is left to do."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)
        return thread is None or not thread.is_alive()

    def catch_up(self) -> None:
        """See to earlier sessions of this PC that the server does not know of yet."""
        self._start(lambda _: self._do_waiting(None))

    def close(self) -> None:
        """Try no more: the program ends."""
        self._newest.set()

    # -- inside -----------------------------------------------------------------------------------------

    def _write(self, write: Callable[[], Handover | None]) -> Handover | None:
        try:
            return write()
        except OSError as error:
            self._object(f"what IBL's pipeline looks for could not be written: {why_not(error)}")
        except Exception as error:
            log.exception("a session could not be prepared for IBL's pipeline")
            self._object(
                f"what IBL's pipeline looks for could not be written ({type(error).__name__}: {error}): "
                "the data are safe; the log has the details"
            )
        return None

    def _speak(self, folder: Path, exp_ref: ExpRef, part: Part, *, again: Sequence[float]) -> None:
        """Bring the server up to date, in a thread."""

        def work(newest: threading.Event) -> None:
            for pause in (0.0, *again):
                if newest.wait(pause):
                    return
                with self._turn:
                    before = self._entered[1] if self._entered and self._entered[0] == folder else None
                    try:
                        told = bring_up_to_date(folder, exp_ref, part, is_new=before is None, before=before)
                    except ServerAway as error:
                        self._say(f"{error}; the session is entered there later")
                        continue
                    except Exception as error:
                        log.exception("the server could not be told of %s", exp_ref)
                        self._say(f"the server could not be told ({type(error).__name__}: {error})")
                        return
                    self._entered = None if told.device is None else (folder, told.device)
                self.away = None
                self._object(told.objection)
                if told.is_last:
                    forget_waiting(folder)
                self._do_waiting(folder)
                return

        self._start(work)

    def _start(self, work: Callable[[threading.Event], None]) -> None:
        self._newest.set()
        self._newest = newest = threading.Event()
        # a daemon: a program that ends does not wait for a share that is dead
        self._thread = threading.Thread(
            target=work, args=(newest,), name=f"server of {self._who}", daemon=True
        )
        self._thread.start()

    def _do_waiting(self, present: Path | None) -> None:
        """Do what could not be done for earlier sessions."""
        for folder in list_waiting():
            if folder == present:
                continue
            try:
                now = beside.settle(folder)
                if now is None:
                    forget_waiting(folder)
                elif now.is_over:
                    some = next(iter(now.parts.values()))
                    bring_up_to_date(folder, ExpRef.parse(now.exp_ref), some, is_new=False)
                    forget_waiting(folder)
            except ServerAway as error:
                log.info("%s waits for the server: %s", folder, error)
                return
            except (OSError, LocalProtocolError) as error:
                log.warning("%s: %s", folder, error)

    def _object(self, text: str | None) -> None:
        """Say, once, what keeps the present session from being copied."""
        if text is not None and text != self.conflict:
            self.conflict = text
            log.warning("%s: %s", self._who, text)
            self._tell(text)

    def _say(self, text: str) -> None:
        if text != self.away:
            self.away = text
            log.warning("%s: %s", self._who, text)
            self._tell(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the server knows of a session folder now."""

    device: str | None
    """As which it is entered; None: it is not."""
    objection: str | None = None
    """Why it is not to be copied."""
    is_last: bool
    """Whether nothing more will have to be told."""


def bring_up_to_date(
    folder: Path, exp_ref: ExpRef, part: Part, *, is_new: bool, before: str | None = None
) -> Told:
    """Let the server know what a session folder says now.

    Parameters
    ----------
    folder : pathlib.Path
        The session folder.
    exp_ref : ExpRef
        Of the session.
    part : Part
        Of whoever asks, for where nothing remains of what was said.
    is_new : bool
        Whether something is recorded anew.
    before : str, optional
        As which device we have entered the folder.

    Raises
    ------
    ServerAway
        It cannot be told.
    """
    now = beside.settle(folder)
    server = now.server if now is not None else (Path(part.server) if part.server else None)
    if server is None:  # iblrig's own settings name it, when the data are copied
        return Told(device=None, is_last=now is None or now.is_over)
    if now is None:
        if before is not None:
            unregister(server, exp_ref, before)
        return Told(device=None, is_last=True)
    device: str | None = now.device
    objection: str | None
    ours = None if now.is_shared else (now.told,)
    try:
        stub = register(server, exp_ref, now.device, now.description, is_new=is_new, ours=ours)
    except NamesakeThere as error:  # what is there is not ours
        device, objection = None, str(error)
    else:
        beside.note_stub(folder, now.device, digest_of(write_stub(now.description)))
        objection = find_rival(stub, now.device, now.description)
        for old in {*now.stubs, *([before] if before is not None else [])} - {now.device}:
            unregister(server, exp_ref, old)
    beside.hold(folder, is_held=objection is not None)
    if now.is_over:
        copy_records(folder, server, exp_ref)
    return Told(device=device, objection=objection, is_last=now.is_over)


def reopened(part: Part) -> Part:
    """Return a part that is recorded now, by this program, which ends with it."""
    pid, since = beside.this_program()
    return replace(part, is_open=True, pid=pid, since=since)
