"""The order of a task's run: its hardware, the task itself, and an end in good order whatever happens."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from multirig.ibl import task_logging
from multirig.ibl.questions import ask_number
from multirig.ibl.task_end import say_end
from multirig.ibl.task_wishes import forget_wishes

if TYPE_CHECKING:
    from multirig.ibl.base_session import BaseSession


class TaskRun:
    """One run of a session; the steps of its end are taken whatever became of those before them."""

    def __init__(self, session: BaseSession) -> None:
        self._session = session
        self._error: BaseException | None = None
        """The first one."""

    def run(self) -> None:
        """Take all steps; raise the first error at the end."""
        session = self._session
        self._take(self._begin_and_run)
        endings: list[Callable[[], Any]] = [self._save_end, *hooks(session, "stop_mixin")]
        if self._error is None and session.interactive:
            endings.append(self._ask_droppings)
        # whoever interrupts waits for no server
        was_interrupted = isinstance(self._error, KeyboardInterrupt | SystemExit)
        endings.append(self._say_unregistered if was_interrupted else self._register_end)
        for ending in [*endings, *hooks(session, "cleanup_mixin"), self._end_log, session.transfer.finish]:
            self._take(ending)
        if self._error is not None:
            raise self._error

    def _take(self, step: Callable[[], Any]) -> None:
        """Take a step, and write down what it raised; the first error is shown when it is raised."""
        try:
            step()
        except BaseException as error:  # raised at the end of `run`, when all else is done
            self._session.logger.error(
                "%s: %s",
                *(type(error).__name__, say_end(error)),
                exc_info=error if isinstance(error, Exception) else None,
                extra={task_logging.FILE_ONLY: self._error is None},
            )
            if self._error is None:
                self._error = error

    def _begin_and_run(self) -> None:
        session = self._session
        session.start_hardware()
        session.create_session()
        if session.session_info.SUBJECT_WEIGHT is None and session.interactive:
            weight = ask_number(f"{session.session_info.SUBJECT_NAME} weight (g)")
            if weight is None:
                session.logger.warning("nobody gave the weight: say --weight, or --no-interactive")
            session.session_info.SUBJECT_WEIGHT = weight
        forget_wishes(session.paths)
        session._run()
        session.transfer.is_done = True

    def _ask_droppings(self) -> None:
        info = self._session.session_info
        info.POOP_COUNT = ask_number(f"{info.SUBJECT_NAME} droppings count", whole=True, may_skip=True)
        self._session.save_task_parameters_to_json_file()

    def _save_end(self) -> None:
        if self._session.is_created:
            self._session.session_info.SESSION_END_TIME = datetime.datetime.now().isoformat()
            self._session.save_task_parameters_to_json_file()

    def _register_end(self) -> None:
        if self._session.is_created:
            self._session.register_to_alyx()

    def _say_unregistered(self) -> None:
        session = self._session
        if session.is_created and session.tells_alyx:
            session.logger.warning(
                "Alyx is not told of the end of this session, nor of its water: register it later, its data "
                "are in %s",
                session.paths.SESSION_FOLDER,
            )

    def _end_log(self) -> None:
        if self._session.log_file is not None:
            task_logging.end_file(self._session.log_file)
            self._session.log_file = None


def hooks(session: object, pattern: str) -> list[Callable[[], Any]]:
    """Return the methods whose names begin with the pattern, by name."""
    names = [name for name in dir(session) if name.startswith(pattern)]
    return [method for name in names if inspect.ismethod(method := getattr(session, name))]
