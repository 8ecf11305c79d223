"""A rig's part in IBL's pipeline, where its config says that it has one: see `multirig.transfer`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from multirig.config import RigConfig
from multirig.folders import OURS
from multirig.pc.finding import Finding as Checked
from multirig.pc.finding import Level as Grade
from multirig.protocol.codec import plain
from multirig.rig.adapter import Adapter, File, Finding, Level
from multirig.rig.bonsai_times import write_bonsai_times
from multirig.rig.recording import Recording
from multirig.transfer.describing import VIDEO, describe_probes
from multirig.transfer.folder import Part
from multirig.transfer.server import look_at_server, subjects_on_server
from multirig.transfer.transfer import Transfer
from multirig.wording import discreet_values

WRITE_LIMIT = 2.0
"""Seconds that the answer to a stop waits for the disk."""

log = logging.getLogger("multirig.rig")


class Pipeline:
    """Prepares what a rig records for iblrig's ``transfer_data``; does nothing where nobody asked for it.

    Parameters
    ----------
    config : RigConfig
        Of the rig.
    adapter : Adapter
        Which records.
    warn : callable
        Is given a line for whoever sits at this PC.
    """

    def __init__(self, config: RigConfig, adapter: Adapter, warn: Callable[[str], None]) -> None:
        self._config = config
        self._adapter = adapter
        self._transfer = None if config.ibl is None else Transfer(config.name, tell=warn)
        self._description: Mapping[str, Any] = {}
        self._has_data = False
        self._writing: asyncio.Task[None] | None = None
        """What is being written, one thing after the other."""

    def open(self) -> None:
        """See to the sessions that the server does not know of yet."""
        if self._transfer is not None:
            self._transfer.catch_up()

    def begin(self, recording: Recording) -> None:
        """Describe what is recorded from now on; nobody waits for it."""
        transfer, session = self._transfer, recording.session
        if transfer is None or session is None or recording.is_rehearsal:
            return
        self._has_data = False
        self._description = self._describe()
        part = self._make_part()
        self._write(lambda: transfer.begin(session.session_folder, session.exp_ref, part))

    def note(self, files: Sequence[File]) -> None:
        """Note what was recorded."""
        self._has_data = any(one.bytes for one in files)

    async def finish(self, recording: Recording) -> None:
        """Leave the flag, if anything was recorded: all files are closed now."""
        transfer, session = self._transfer, recording.session
        if transfer is None or session is None or recording.is_rehearsal or not recording.was_started:
            return
        self._description = self._description or self._describe()

        def finish() -> None:
            if not self._adapter.owns():  # its program tells nobody what it writes
                self._has_data = _holds_data(session.folder)
            elif self._has_data:
                write_bonsai_times(session, self._adapter.owns())
            transfer.finish(session.session_folder, session.exp_ref, self._make_part())

        self._write(finish)
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=WRITE_LIMIT)

    def findings(self, at: float) -> list[Finding]:
        """Return what keeps the server from being told, for whoever leads."""
        if self._transfer is None:
            return []
        told = [one for one in (self._transfer.conflict, self._transfer.away) if one is not None]
        return [Finding(level=Level.NOTE, kind="server", text=one, at=at, until=at) for one in told]

    async def close(self) -> None:
        """Begin nothing more: the program ends."""
        if self._transfer is not None:
            self._transfer.close()
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=WRITE_LIMIT)

    def _describe(self) -> dict[str, Any]:
        try:
            return describe_rig(self._config, self._adapter)
        except Exception:  # an adapter that cannot describe itself records all the same
            log.exception("the adapter's part of the experiment description failed")
            return {}

    def _write(self, work: Callable[[], None]) -> None:
        before = self._writing

        async def write() -> None:
            if before is not None:
                await asyncio.wait([before])
            await asyncio.to_thread(work)

        self._writing = asyncio.create_task(write())

    def _make_part(self) -> Part:
        server = None if self._config.ibl is None else self._config.ibl.server
        return Part(
            device=find_device(self._config),
            description=dict(self._description),
            server=None if server is None else str(subjects_on_server(server)),
            has_data=self._has_data,
        )


def find_device(config: RigConfig) -> str:
    """Return as which device iblrig copies a rig."""
    return (None if config.ibl is None else config.ibl.device) or VIDEO


def describe_rig(config: RigConfig, adapter: Adapter) -> dict[str, Any]:
    """Return a rig's part of the description: what its config says, else what the adapter does."""
    said = adapter.experiment_description()
    kind, _, label = config.name.partition(":")
    probes = [] if config.ibl is None else config.ibl.probes
    if probes:
        said = {**said, **describe_probes(probes, is_main_sync=True)}
    devices = config.experiment_description.devices or said.get("devices")
    part = {"devices": devices or {kind: {label or kind: {"collection": adapter.collection}}}}
    sync = config.experiment_description.sync or said.get("sync")
    whole = {**part, "sync": sync} if sync and config.main_sync else part
    found: dict[str, Any] = discreet_values(plain(whole, "experiment_description"))
    return found


def check_server(config: RigConfig) -> Iterator[Checked]:
    """Say whether the server answers on which sessions are entered; its share may be dead."""
    if config.ibl is None or config.ibl.server is None:
        return
    subjects = subjects_on_server(config.ibl.server)
    if (reason := look_at_server(subjects)) is None:
        text = f"sessions are entered in {subjects}, where iblrig copies them as {find_device(config)}"
        yield Checked(check="server", level=Grade.OK, text=text)
    else:
        text = f"{reason}; a session is recorded all the same, and entered there later"
        yield Checked(check="server", level=Grade.WARNING, text=text)


def _holds_data(folder: Path) -> bool:
    try:
        return any(one.is_file() and not one.name.startswith(OURS) for one in folder.rglob("*"))
    except OSError:
        return False
