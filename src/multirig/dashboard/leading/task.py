"""A session that a task leads: it runs here as it would from the command line, and is watched."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from multirig.conductor import roster
from multirig.conductor.conductor import Conductor
from multirig.dashboard.leading.board import Board
from multirig.dashboard.leading.watching import watch
from multirig.dashboard.snapshot import Order
from multirig.dashboard.task_forms import extra_parser, takes_rigs, to_options
from multirig.errors import ConfigError, MultirigError, why_not
from multirig.ibl.auxiliaries import Auxiliaries
from multirig.ibl.session_paths import STOP_FILE
from multirig.ibl.task_arguments import task_parser, to_arguments
from multirig.ibl.task_end import say_end
from multirig.ibl.task_loading import explain_failure, find_task
from multirig.lifecycle.session_states import SessionState
from multirig.pc.signals import (
    CTRL_C,
    END,
    calling_on_signals,
    end_program,
    ignore_ctrl_c,
    press_ctrl_c,
    take_signals,
)
from multirig.protocol.exp_ref import ExpRef

LOAD = "load the task"
"""What is done before the first step, in words."""
TASK = "task"

log = logging.getLogger("multirig.console")


class TaskSession:
    """Runs a task in the main thread.

    Parameters
    ----------
    order : Order
        What is asked for, with a task.
    board : Board
        Where it is told.
    """

    def __init__(self, order: Order, board: Board) -> None:
        self.board = board
        self._order = order
        self._task = order.task or ""
        self._session: Any = None
        self._is_running = False
        """Whether the task's own part goes on, which looks for a wish to stop."""
        self._has_run = False
        self._watching: asyncio.Task[None] | None = None
        self._why: str | None = None
        self._lock = threading.Lock()

    def run(self) -> None:
        """Run the task to its end; whatever goes wrong is told as its trouble."""
        step, cls = LOAD, None
        try:
            with self._interruptible():
                cls = find_task(self._task)
                options = self._options(cls)
                step = TASK
                Auxiliaries.person = self._order.by  # this program leads no other session
                watched = _watched(cls, self, takes_over=self._order.takes_over)
                self._session = watched(**options)
                self._session.run()
        except MultirigError as error:
            log.info("the task has failed", exc_info=True)
            self._tell_trouble(error, step)
        except Exception as error:
            log.info("the task has failed", exc_info=True)
            self._tell_trouble(explain_failure(error, cls, self._session), step)
        except (KeyboardInterrupt, SystemExit) as error:
            why = self._why or say_end(error)
            if not self._has_run:
                ended = f"ended before the task began; every rig has been let go ({why})"
                self._tell_trouble(MultirigError(ended), step)

    # -- what is asked, in other threads ----------------------------------------------------------------

    def stop(self, by: str | None = None) -> None:
        """Ask the task to end in good order, as its operator would; before rigs record, let all go."""
        if self._has_run and not self._is_running:
            return  # it has ended, and saves its data
        # rigs record a moment before the task's own part begins, which then finds the wish at its first look
        records = self._is_running or self.board.now.state == SessionState.RUNNING.value
        if self._session is None or not records:
            self.interrupt("stopped by the operator before the task began", by)
            return
        folder = Path(self._session.paths["SESSION_FOLDER"])
        try:
            (folder / STOP_FILE).touch()
        except OSError as error:
            raise MultirigError(
                f"the task cannot be asked to stop ({why_not(error)} in {folder}): interrupt it"
            ) from error

    def press_ctrl_c(self) -> None:
        """Stop; while the task runs, its own process takes Ctrl-C and SIGTERM as an exception."""
        self.stop()

    def interrupt(self, why: str, by: str | None = None) -> None:
        """End the task as Ctrl-C would: the rigs are interrupted, and told why."""
        with self._lock:
            if self._why is not None:
                raise MultirigError("the task is being interrupted already: wait until it has ended")
            self._why = why if by is None else f"{why} (by {by})"
        press_ctrl_c()

    def mark(self, text: str, by: str | None = None) -> None:
        """Set a marker, as the task itself can."""
        rigs = getattr(self._session, "remote_rigs", None)
        if rigs is None or not rigs.is_running:
            raise MultirigError("cannot set a marker: no rig takes part, or none has been started yet")
        rigs.mark(text, **({"by": by} if by is not None else {}))

    # -- what the task does -----------------------------------------------------------------------------

    async def attend(self, conductor: Conductor) -> None:
        """Show what the task's conductor does; in its own event loop, which ends this too."""
        self._watching = asyncio.create_task(watch(conductor, conductor.events(), self.board))

    def begin_task(self) -> None:
        """The task's own part begins: its rigs record, if it has any."""
        self._is_running = self._has_run = True
        if not self._has_rigs:
            self._tell_state(SessionState.RUNNING)

    def end_task(self) -> None:
        """The task's own part is over."""
        self._is_running = False
        if not self._has_rigs:
            self._tell_state(SessionState.STOPPED)

    @property
    def _has_rigs(self) -> bool:
        return bool(self._order.rigs)

    def _tell_state(self, state: SessionState) -> None:
        """Tell where a session is that no rig takes part in."""
        paths, info = self._session.paths, self._session.session_info
        folder = Path(paths["SESSION_FOLDER"])
        day, number = str(info["SESSION_START_TIME"])[:10], int(info["SESSION_NUMBER"])
        exp_ref = str(ExpRef.parse(f"{day}_{number}_{info['SUBJECT_NAME']}"))
        self.board.tell(lambda teller: teller.take_folder(str(folder)))
        self.board.tell(lambda teller: teller.take_state(state, exp_ref, time.time()))

    def _tell_trouble(self, error: Exception, step: str) -> None:
        self.board.tell(lambda teller: teller.take_trouble(error, step))

    # -- inside -----------------------------------------------------------------------------------------

    def _options(self, cls: Any) -> dict[str, Any]:
        """Return the arguments of the task's constructor.

        Raises
        ------
        ConfigError
            A parameter is not as the task wants it; one line.
        """
        order = self._order
        parser = extra_parser(cls, self._task)
        typed, rest = to_options(parser, order.parameters)
        typed += [f"--subject={order.subject}", "--no-interactive"]
        if order.user:
            typed.append(f"--user={order.user}")
        for option, names in (("--projects", order.projects), ("--procedures", order.procedures)):
            typed += [option, *names] if names else []
        if order.rigs:
            if not takes_rigs(parser):
                raise ConfigError(
                    f"{self._task} takes no rigs: choose none, or derive it from multirig.ibl.NetworkSession"
                )
            typed += ["--remote", *order.rigs]
            typed += [] if order.checks else ["--no-check"]
        whole = task_parser([parser], prog=self._task)
        whole.error = _refuse  # type: ignore[method-assign,assignment]  # else it would end the program
        arguments = to_arguments(whole.parse_args([*typed, *(["--", *rest] if rest else [])]))
        os.environ[roster.VARIABLE] = str(roster.find_rigs_file(order.rigs_file).absolute())
        arguments["iblrig_settings"] = {
            **arguments.get("iblrig_settings", {}),
            "iblrig_local_data_path": Path(order.data_folder).absolute(),
            "iblrig_local_subjects_path": None,
            "ALYX_LAB": order.lab,
        }
        if order.main_sync:
            arguments["hardware_settings"] = {"MAIN_SYNC": True}
        return arguments

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let Ctrl-C end the task with the operator's reason, and SIGTERM end it like an exception."""

        def interrupted(_: int) -> None:
            raise KeyboardInterrupt(self._why or "interrupted")

        take_signals(interrupted, (CTRL_C,))
        try:
            with calling_on_signals(end_program, END):
                yield
        finally:
            ignore_ctrl_c()  # one that comes too late has nobody to end


class _Telling:
    """Put before a task: tells when the task's own part goes on."""

    told_to: TaskSession

    def _run(self) -> None:
        self.told_to.begin_task()
        try:
            super()._run()  # type: ignore[misc]  # the task's
        finally:
            self.told_to.end_task()


class _TellingOfRigs(_Telling):
    """Put before a task with rigs: tells also what their conductor does."""

    remote_rigs: Auxiliaries

    def connect(self, remote_rigs: Any) -> None:
        super().connect(remote_rigs)  # type: ignore[misc]  # the task's
        if self.remote_rigs.is_running:
            self.remote_rigs.lead(self.told_to.attend)


def _watched(cls: Any, task: TaskSession, *, takes_over: bool) -> Any:
    """Return a task's class that also tells what happens; by its name and its file it is still that task."""
    telling = _TellingOfRigs if hasattr(cls, "connect") else _Telling
    own = {name: getattr(cls, name) for name in ("__module__", "__qualname__", "__doc__")}
    own |= {"told_to": task, "takes_over": takes_over}
    return type(cls)(cls.__name__, (telling, cls), own)


def _refuse(message: str) -> None:
    raise ConfigError(f"the task's parameters: {message}")
