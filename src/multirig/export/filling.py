"""What stands in an NWB file, as pynwb's own objects."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

from multirig.export.columns import Column, Table, to_array
from multirig.export.markers import ANNOTATION, DURATION, TIMESTAMP
from multirig.export.metadata import UNKNOWN_SEX, SubjectWords
from multirig.export.naming import plain
from multirig.export.videos import Camera
from multirig.reading.packages import need
from multirig.wording import count


def need_pynwb() -> Any:
    """Return pynwb.

    Raises
    ------
    ConfigError
        It is not installed.
    """
    return need("pynwb", "an NWB file", extra="nwb")


def make_subject(name: str, said: SubjectWords, weight: float | None, start: datetime.datetime) -> Any:
    """Return the subject.

    Parameters
    ----------
    name : str
        What it is called in the lab.
    said : SubjectWords
        What people say of it.
    weight : float or None
        What it weighed in the session, in grams, as the task was told.
    start : datetime.datetime
        When the session began: the day of birth is one of its zone.
    """
    born = said.date_of_birth
    return need_pynwb().file.Subject(
        subject_id=name,
        species=said.species,
        sex=said.sex or UNKNOWN_SEX,
        age=said.age,
        date_of_birth=None
        if born is None
        else datetime.datetime(born.year, born.month, born.day, tzinfo=start.tzinfo),
        strain=said.strain,
        genotype=said.genotype,
        weight=said.weight or (None if weight is None else f"{weight:g} g"),
        description=said.description,
    )


def make_table(table: Table) -> Any:
    """Return a table with the columns in which something is known."""
    columns = [_make_column(one) for one in table.known]
    return need_pynwb().core.DynamicTable(name=table.name, description=table.about, columns=columns)


def make_events(table: Table, source: str) -> Any:
    """Return a table of events; its first column is ``timestamp``."""
    event = need_pynwb().event
    return event.EventsTable(
        name=table.name,
        description=table.about,
        source_description=source,
        columns=[_make_column(one) for one in table.known],
    )


def _make_column(column: Column) -> Any:
    pynwb = need_pynwb()
    kinds = {TIMESTAMP: pynwb.event.TimestampVectorData, DURATION: pynwb.event.DurationVectorData}
    kind = kinds.get(column.name, pynwb.core.VectorData)
    data = [plain(str(one)) for one in column.cells] if column.name == ANNOTATION else to_array(column.cells)
    return kind(name=column.name, description=column.about, data=data)


def make_intervals(table: Table) -> Any:
    """Return a table of intervals; its first columns are ``start_time`` and ``stop_time``."""
    columns = [_make_column(one) for one in table.known]
    return need_pynwb().epoch.TimeIntervals(name=table.name, description=table.about, columns=columns)


def make_camera(camera: Camera) -> Any:
    """Return a camera as a device."""
    return need_pynwb().device.Device(name=f"camera_{camera.name}", description=f"T{_say(camera)[1:]}.")


def _say(camera: Camera) -> str:
    rig = f" of the rig {camera.rig}" if camera.rig else ""
    return plain(f"the camera {camera.stream.removeprefix(f'{camera.rig}/')}{rig}")


def make_video(camera: Camera, device: Any, folder: Path) -> Any:
    """Return a camera's video, which stays outside of the file, with the time of each picture.

    Parameters
    ----------
    camera : Camera
        Of which it is.
    device : pynwb.device.Device
        The same.
    folder : pathlib.Path
        Where the file will lie: videos are told from there.
    """
    pynwb = need_pynwb()
    about = f"{count(len(camera.times), 'frame')} of {_say(camera)}, in a file of its own."
    if len(camera.places) > 1:
        about = about.replace("a file of its own", f"{len(camera.places)} files: it was away in between")
    return pynwb.image.ImageSeries(
        name=f"video_{camera.name}",
        description=plain(about),
        comments=camera.remarks or "Nothing is known of its losses.",
        external_file=[tell_place(place, folder) for place in camera.places],
        starting_frame=list(camera.first_frames),
        format="external",
        dimension=None if camera.size is None else list(camera.size),
        timestamps=pynwb.H5DataIO(camera.times, compression="gzip", shuffle=True),
        device=device,
    )


def tell_place(place: Path, folder: Path) -> str:
    """Return where a file is as seen from a folder, with forward slashes; from another drive, its path."""
    try:
        return Path(os.path.relpath(place.resolve(), folder.resolve())).as_posix()
    except ValueError:  # of Windows
        return place.resolve().as_posix()


def is_on_another_drive(place: Path, folder: Path) -> bool:
    """Whether a file cannot be told from a folder."""
    return Path(tell_place(place, folder)).is_absolute()
