"""The experiment description of a session in which rigs record and no task runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from multirig.conductor.session import Session
from multirig.config import Uri
from multirig.ibl import description


class PlainDescription:
    """What the leading PC writes of such a session: all rigs with their devices, and the sync.

    Parameters
    ----------
    rigs : mapping of str to Uri
        Who takes part, and where.
    procedures, projects : sequence of str
        Names as Alyx knows them.
    """

    def __init__(
        self, rigs: Mapping[str, Uri], procedures: Sequence[str] = (), projects: Sequence[str] = ()
    ) -> None:
        self._uris = {name: str(uri) for name, uri in rigs.items()}
        self._own: dict[str, Any] = {
            "devices": {},
            "procedures": list(procedures),
            "projects": list(projects),
            "tasks": [],
        }

    @property
    def info(self) -> dict[str, Any]:
        """What the rigs are told of it."""
        return {"experiment_description": {**self._own, "remote_rigs": self._uris}}

    async def write(self, session: Session) -> None:
        """Write it into the session's folder, once the rigs have said what they are.

        Raises
        ------
        ConfigError
            Two rigs contradict each other, or claim the sync; or it cannot be written.
        """
        if session.folder is not None:
            whole = description.describe_rigs(self._own, session.information, self._uris)
            await asyncio.to_thread(description.write_into, session.folder, whole)
