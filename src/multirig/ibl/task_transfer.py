"""A task's part in IBL's pipeline: its description, its entry on the server, and the flag when it is over."""

from __future__ import annotations

import contextlib
import datetime
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multirig.ibl import description
from multirig.ibl.bunch import unbunched
from multirig.ibl.session_paths import find_date
from multirig.protocol.exp_ref import ExpRef
from multirig.transfer.describing import BEHAVIOR, without_rigs
from multirig.transfer.folder import Part
from multirig.transfer.server import ServerAway, copy_records
from multirig.transfer.transfer import Transfer, reopened

if TYPE_CHECKING:
    from multirig.ibl.base_session import BaseSession

log = logging.getLogger("multirig.ibl")

END_LIMIT = 3.0
"""Seconds that the end of a task waits for the server; the next session does what is not done then."""
_OURS = ("_iblrig_taskSettings.raw", "_ibl_log.", "new_trial.flag")
"""How files in a task's collection begin that tell nothing of what it recorded."""


class TaskTransfer:
    """What a task leaves for IBL's pipeline.

    Parameters
    ----------
    session : BaseSession
        The task; its folder is made when `begin` is called.
    """

    def __init__(self, session: BaseSession) -> None:
        self._session = session
        self._transfer: Transfer | None = None
        self._description: Mapping[str, Any] = {}
        self.is_done = False
        """Whether the task came to its end by itself: then it is kept whatever it has written."""

    def begin(self) -> None:
        """Describe the task, and enter it on the server where there is one."""
        session = self._session
        self._description = unbunched(session.experiment_description)
        self._transfer = Transfer(session.paths.TASK_COLLECTION, tell=self._tell, again=())
        self._transfer.begin(session.paths.SESSION_FOLDER, self._exp_ref, reopened(self._part()))

    def finish(self) -> None:
        """Leave the flag by which iblrig's ``transfer_data`` finds the session, if anything was recorded."""
        if self._transfer is not None:
            transfer, self._transfer = self._transfer, None
            transfer.finish(self._session.paths.SESSION_FOLDER, self._exp_ref, self._part())
            transfer.wait(END_LIMIT)
            transfer.close()

    @property
    def _exp_ref(self) -> ExpRef:
        info = self._session.session_info
        return ExpRef(find_date(info), int(info.SESSION_NUMBER), info.SUBJECT_NAME)

    def _part(self) -> Part:
        remote = self._session.paths.REMOTE_SUBJECT_FOLDER
        return Part(
            device=BEHAVIOR,
            description=dict(self._description),
            server=None if remote is None else str(remote),
            has_data=self.is_done or _has_recorded(self._session.paths.SESSION_RAW_DATA_FOLDER),
        )

    def _tell(self, text: str) -> None:
        self._session.logger.warning("%s", text)


def _has_recorded(folder: Path) -> bool:
    """Whether a task has written anything of its own."""
    try:
        return any(
            one.stat().st_size and not one.name.startswith(_OURS)
            for one in folder.rglob("*")
            if one.is_file()
        )
    except OSError:
        return False


def send_records(task: Any) -> None:
    """Copy the journal and the verdict of a task's session to the server, where the session is entered there.

    Parameters
    ----------
    task : BaseSession
        Of any kind; one whose constructor has failed has nothing to copy.
    """
    paths = getattr(task, "paths", None) or {}
    try:
        folder, remote = Path(paths["SESSION_FOLDER"]), paths["REMOTE_SUBJECT_FOLDER"]
        subject, date, number = folder.parts[-3:]
        exp_ref = ExpRef(datetime.date.fromisoformat(date), int(number), subject)
    except (KeyError, TypeError, ValueError):
        return

    def send() -> None:
        try:
            if remote and Path(remote).joinpath(*exp_ref.folder_parts()).is_dir():
                copy_records(folder, Path(remote), exp_ref)
        except (OSError, ServerAway) as error:
            log.warning("%s", error)

    sending = threading.Thread(target=send, name="records to the server", daemon=True)
    sending.start()
    sending.join(END_LIMIT)


@contextlib.contextmanager
def creating(session: Any, rigs: Iterable[Mapping[str, Any] | None]) -> Iterator[None]:
    """Let a base session write of this PC alone, while it makes its folder, and describe all PCs beside it.

    Parameters
    ----------
    session : BaseSession
        Of any kind, whose description holds the parts of its rigs.
    rigs : iterable of mapping or None
        Those parts.
    """
    whole = session.experiment_description
    parts = [one for one in rigs if one]
    session.experiment_description = without_rigs(whole, parts)
    try:
        yield
    finally:
        session.experiment_description = whole
    if "remote_rigs" in whole:
        description.write_beside(session.paths["SESSION_FOLDER"], whole)
