"""A session as one NWB file: what it was, with its markers, videos and clocks, all on one clock."""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from multirig.errors import ConfigError, LocalProtocolError
from multirig.export import filling, gaps, markers, tables, verdict
from multirig.export.columns import Table
from multirig.export.metadata import Metadata
from multirig.export.naming import plain
from multirig.export.placing import put, say_there
from multirig.export.purpose import read_purpose
from multirig.export.videos import Camera, find_cameras
from multirig.protocol.exp_ref import ExpRef
from multirig.reading.packages import need
from multirig.reading.session import LoadedSession
from multirig.version import __version__

SUFFIX = ".nwb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What became of an export."""

    path: Path
    """The file."""
    videos: tuple[str, ...]
    """The cameras whose videos it names, ``rig/label``."""
    markers: int
    """How many are in it."""
    pulses: int
    """How many are in it."""
    clocks: tuple[str, ...]
    """The rigs whose clocks are in it."""
    warnings: tuple[str, ...] = ()
    """What of the session is not in it, and what to do, a line each."""
    unknown: tuple[str, ...] = ()
    """What archives ask of a subject, and nobody has said."""


@dataclass(slots=True, kw_only=True)
class _Contents:
    """All that was recorded and goes into the file."""

    cameras: Sequence[Camera]
    markers: Table
    pulses: Table
    clocks: Table
    gaps: Table
    tables: Sequence[Table]
    warnings: list[str] = field(default_factory=list)


def export_nwb(
    session: LoadedSession,
    path: Path,
    *,
    metadata: Metadata | None = None,
    lab: str | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write a session into an NWB file, whole or not at all.

    Parameters
    ----------
    session : LoadedSession
        As `multirig.load` gives it; what of it is not here is told in the file.
    path : pathlib.Path
        The file, ``….nwb``, in a folder that is there.
    metadata : Metadata, optional
        What people say of the session and its subject.
    lab : str, optional
        The lab's name, where `metadata` says none.
    overwrite : bool
        Take the place of a file that is there.

    Returns
    -------
    Exported

    Raises
    ------
    ConfigError
        pynwb is not installed; the file is there, or cannot be written; or nothing here tells when the
        session began, or whose it is.
    """
    filling.need_pynwb()
    said = metadata or Metadata()
    path = Path(os.path.abspath(path))
    _check_place(path, overwrite=overwrite)
    built = _describe(session, said, lab)
    contents = _gather(session)
    _fill(built, contents, path.parent)
    put(path, _write(built), overwrite=overwrite)
    subject = said.Subject
    unknown = {"species": subject.species, "sex": subject.sex, "age": subject.age or subject.date_of_birth}
    return Exported(
        path=path,
        videos=tuple(one.stream for one in contents.cameras),
        markers=len(contents.markers),
        pulses=len(contents.pulses),
        clocks=tuple(dict.fromkeys(contents.clocks.columns[0].cells)),
        warnings=tuple(contents.warnings),
        unknown=tuple(key for key, one in unknown.items() if one is None),
    )


def _check_place(path: Path, *, overwrite: bool) -> None:
    """Look whether the file may be written, before all that it holds is read."""
    if path.suffix != SUFFIX:
        raise ConfigError(f"{path.name}: end its name with {SUFFIX}")
    if not path.parent.is_dir():
        raise ConfigError(f"{path.parent}: there is no such folder: make it, or choose another one")
    if path.is_dir():
        raise ConfigError(f"{path}: is a folder: choose another name")
    if path.exists() and not overwrite:
        raise ConfigError(say_there(path))


def _describe(session: LoadedSession, said: Metadata, lab: str | None) -> Any:
    """Return the file with what the session was, and nothing that was recorded.

    Raises
    ------
    ConfigError
        Nothing here tells when it began, or whose it is.
    """
    start = None if session.zero is None else session.zero.wall
    if start is None:
        raise ConfigError(
            f"{session.exp_ref}: nothing here tells when it began, which an NWB file has to say: copy the "
            "journal of the PC that led here, or the rigs' manifests"
        )
    purpose, words = read_purpose(session), said.NWBFile
    own = verdict.describe_session(session)
    built = filling.need_pynwb().NWBFile(
        session_description=f"{words.session_description} {own}" if words.session_description else own,
        identifier=str(uuid.uuid4()),
        session_start_time=start,
        session_id=plain(session.exp_ref),
        lab=words.lab or (None if lab is None else plain(lab)),
        institution=words.institution,
        experimenter=words.experimenter or purpose.people or None,
        experiment_description=words.experiment_description or purpose.sentence or None,
        keywords=list(words.keywords or purpose.keywords) or None,
        protocol=words.protocol or ", ".join(purpose.tasks) or None,
        related_publications=words.related_publications or None,
        notes=words.notes,
        pharmacology=words.pharmacology,
        surgery=words.surgery,
        virus=words.virus,
        stimulus_notes=words.stimulus_notes,
        data_collection=verdict.describe_times(session),
        was_generated_by=[["multirig", __version__], ["pynwb", version("pynwb")]],
    )
    built.subject = filling.make_subject(_find_subject(session), said.Subject, purpose.weight, start)
    return built


def _find_subject(session: LoadedSession) -> str:
    if session.account is not None and session.account.subject:
        return plain(session.account.subject)
    try:
        return ExpRef.parse(session.exp_ref).subject
    except LocalProtocolError:
        raise ConfigError(
            f"{session.folder}: nothing here tells whose session it is: give the folder as it was made, "
            "…/Subjects/<subject>/<yyyy-mm-dd>/<NNN>"
        ) from None


def _gather(session: LoadedSession) -> _Contents:
    """Return all that was recorded and is here."""
    cameras = find_cameras(session)
    clocks, no_clocks = tables.tell_clocks(session)
    pulses, no_pulses = markers.tell_pulses(session)
    lacking = {one.rig: one.why for one in verdict.find_missing(session)}
    problems = [*(f"{name}: {why}" for name, why in cameras.told.items()), *no_clocks, *no_pulses]
    absent = {name: f"{name}: {why}" for name, why in cameras.absent.items()}
    warnings = [f"{rig}: {why}" for rig, why in lacking.items()]
    # of a rig that is not here it goes without saying on the screen
    warnings += [text for name, text in absent.items() if name.partition("/")[0] not in lacking]
    reserved = frozenset(dir(filling.need_pynwb().event.EventsTable))
    return _Contents(
        cameras=cameras.here,
        markers=markers.tell_markers(session.markers, reserved),
        pulses=pulses,
        clocks=clocks,
        gaps=gaps.tell_gaps(session),
        tables=[
            verdict.tell_verdict(session, [*absent.values(), *problems]),
            tables.tell_rigs(session),
            tables.tell_sources(session),
            tables.tell_files(session),
            tables.tell_log(session),
        ],
        warnings=[*warnings, *problems],
    )


def _fill(built: Any, contents: _Contents, folder: Path) -> None:
    """Put what was recorded into the file; NWB wants no empty tables."""
    for camera in contents.cameras:
        device = filling.make_camera(camera)
        built.add_device(device)
        built.add_acquisition(filling.make_video(camera, device, folder))
        contents.warnings += [
            f"{camera.stream}: its video is on another drive than the file, which names its whole path: move "
            "neither, or write the file onto that drive"
            for place in camera.places[:1]
            if filling.is_on_another_drive(place, folder)
        ]
    if len(contents.markers):
        built.add_events_table(filling.make_events(contents.markers, "A task, or a person at its screen"))
    if len(contents.pulses):
        built.add_events_table(filling.make_events(contents.pulses, "The rigs that gave them"))
    if len(contents.clocks):
        built.add_acquisition(filling.make_table(contents.clocks))
    if len(contents.gaps):
        built.add_time_intervals(filling.make_intervals(contents.gaps))
    for table in contents.tables:
        if len(table):
            built.add_analysis(filling.make_table(table))


def _write(built: Any) -> bytes:
    """Return the file, made in memory: HDF5 dies of a full disk, and locks what a share cannot lock."""
    h5py = need("h5py", "an NWB file", extra="nwb")
    image = io.BytesIO()
    with (
        h5py.File(image, "w") as file,
        filling.need_pynwb().NWBHDF5IO(file=file, mode="w") as stream,
    ):
        stream.write(built)
    return image.getvalue()
