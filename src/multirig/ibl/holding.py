"""The task of iblrig's that holds an `Auxiliaries`, so that its session has a journal and a verdict.

iblrig makes its ``net.Auxiliaries`` of names and addresses, and tells it nothing of itself. Where ours
stands in its place, the task is found among the callers of ``push``: it is the one whose ``remote_rigs`` they
are.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

from multirig.errors import MultirigError, SessionFailed
from multirig.ibl import description, task_transfer
from multirig.ibl.net import arrays
from multirig.ibl.pushing import read_outcomes
from multirig.ibl.session_paths import find_date, stop_file
from multirig.ibl.settings import find_iblrig_subjects
from multirig.lifecycle.broadcast import Outcome
from multirig.lifecycle.session_states import SessionState
from multirig.protocol.exp_ref import ExpRef
from multirig.protocol.messages import Event
from multirig.protocol.words import Info

if TYPE_CHECKING:
    from multirig.conductor.session import Session
    from multirig.ibl.auxiliaries import Auxiliaries

log = logging.getLogger("multirig.ibl")


class Holder:
    """A task of iblrig's, which leads its rigs by messages and not by the steps of our mixin."""

    def __init__(self, task: Any, *, appends: bool) -> None:
        self._task = task
        self.appends = appends
        """Whether it goes on in a session that this PC has data of already."""
        self._information: dict[str, Info] = {}
        self._is_described = False

    @property
    def log(self) -> logging.Logger:
        """Where the task writes what its operator is to see."""
        found = getattr(self._task, "_logger", None) or getattr(self._task, "logger", None)
        return found if isinstance(found, logging.Logger) else log

    def begin(self, auxiliaries: Auxiliaries, args: Sequence[Any]) -> dict[str, list[Any]]:
        """Begin its session when it asks all rigs who they are, and return their answers.

        The settings that the task writes then name the rigs, and the reference on which they have agreed.
        """
        info = self._task.session_info
        exp_ref, self._information = auxiliaries.agree(
            str(info["SUBJECT_NAME"]),
            date=find_date(info),
            info=next((part for part in args if isinstance(part, Mapping)), {}),
            subjects=find_iblrig_subjects(self._task.iblrig_settings),
            appends=self.appends,
        )
        info["REMOTE_RIGS"], info["EXP_REF"] = auxiliaries.clients, str(exp_ref)
        return answers_of(self._information, exp_ref)

    def answered(
        self, event: Event, outcomes: Mapping[str, Outcome], uris: Mapping[str, str]
    ) -> dict[str, list[Any]]:
        """Return the answers to a message of the task's, as iblrig has them.

        A rig that could not stop is an error in the log and a reason of the verdict, and none for the task:
        it is over, and iblrig does not look at these answers.

        Raises
        ------
        SessionFailed
            Names each rig that has not done anything else.
        """
        try:
            responses = read_outcomes(event, outcomes)
        except SessionFailed as error:
            if event is not Event.EXPEND:
                raise
            self.log.error("%s", error)
            answered = {name: one for name, one in outcomes.items() if not isinstance(one, MultirigError)}
            return {name: [] for name in outcomes} | read_outcomes(event, answered)
        self._describe(responses, uris)
        return responses

    def _describe(self, responses: Mapping[str, Sequence[Any]], uris: Mapping[str, str]) -> None:
        """Describe the rigs beside the task, once it has a description and a folder.

        Its own description stays that of this PC alone: iblrig writes it, and copies what it names.
        """
        is_new = description.take_parts(self._information, responses)
        own = getattr(self._task, "experiment_description", None)
        paths = getattr(self._task, "paths", None)
        if not own or not paths or (self._is_described and not is_new):
            return
        self._is_described = True
        try:
            whole = description.describe_rigs(own, self._information, uris)
            description.write_beside(paths["SESSION_FOLDER"], whole)
        except MultirigError as error:  # the rigs record already
            self.log.error("%s", error)

    def let_go(self, session: Session | None) -> None:
        """Let the task end where its rigs are let go while they record, as iblrig does at SIGTERM.

        One that runs without having started them, by a run of its own, is told so.
        """
        if session is None:
            return
        if session.state is SessionState.RUNNING:
            self.ask_to_end()
        elif session.state is SessionState.INITIALIZED and sys.exc_info()[0] is None:
            names = ", ".join(session.conductor.rigs)
            self.log.error("%s: no rig has recorded, because the task has not started them (EXPSTART)", names)

    def close(self) -> None:
        """Let the server have the journal and the verdict, once they are written."""
        task_transfer.send_records(self._task)

    def ask_to_end(self) -> None:
        """Let the task end in good order, as its operator would."""
        try:
            stop_file(self._task.paths).touch()
        except (AttributeError, KeyError, OSError) as error:
            self.log.error("the task could not be asked to end (%s): stop it by hand", error)


def find_holder(auxiliaries: Auxiliaries, event: Event) -> Holder | None:
    """Return the task among our callers that begins its session by a message; None: there is none."""
    if event is not Event.EXPINFO or auxiliaries.conductor.current is not None:
        return None
    task: Any = None
    appends = False
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        found = frame.f_locals.get("self")
        if found is not None and getattr(found, "__dict__", {}).get("remote_rigs") is auxiliaries:
            task = found
            appends = appends or bool(frame.f_locals.get("append"))
        frame = frame.f_back
    is_task = task is not None and all(hasattr(task, name) for name in ("session_info", "iblrig_settings"))
    return Holder(task, appends=appends) if is_task else None


def answers_of(information: Mapping[str, Info], exp_ref: ExpRef) -> dict[str, list[Any]]:
    """Return what each rig has answered in the agreement; the main sync, the number that was agreed on."""
    answers: dict[str, list[Any]] = {}
    for name, info in information.items():
        status, data = [*arrays.content(info), 0, {}][:2]
        agreed = {"exp_ref": str(exp_ref)} if info.main_sync else {}
        answers[name] = [status, {"main_sync": info.main_sync, **data, **agreed}]
    return answers
