"""One session that was recorded, read back: its verdict, its times, its frames, its tables."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from multirig.errors import ConfigError
from multirig.reading.clocks import Clock, find_clock
from multirig.reading.contents import (
    FileRow,
    Mark,
    Rig,
    Start,
    list_files,
    list_marks,
    list_rigs,
    list_starts,
)
from multirig.reading.frames import RGB, Frames
from multirig.reading.packages import need
from multirig.reading.parts import Collection, look
from multirig.reading.places import read_reference
from multirig.reading.rows import Rows
from multirig.reading.shelf import Shelf
from multirig.reading.streams import Stream
from multirig.reading.tables import read_clock_column, read_table
from multirig.reading.zero import Zero, find_zero
from multirig.record.account import Account
from multirig.record.verdict import Word
from multirig.wording import listed


class LoadedSession:
    """A session that was recorded. Every time is in seconds from the agreed start, `zero`.

    Nothing of the data is read before it is asked for.

    Parameters
    ----------
    folders : sequence of pathlib.Path
        Where it lies: one folder, or that of the PC that led and those of rigs.
    told : Account or None
        What it was; None: nothing here tells.
    problem : str
        Why nothing here tells what it was.
    """

    def __init__(self, folders: Sequence[Path], told: Account | None, problem: str = "") -> None:
        self.folders = tuple(folders)
        """Where it lies."""
        self.account = told
        """All that is known of it, with times as they are on the session clock; None: no journal is here."""
        self.collected: Collection = look(folders, told)
        """Which rigs' parts are here, as far as can be seen now."""
        self._problem = problem or self._explain()

    # -- what it was ----------------------------------------------------------------------------------------

    @property
    def exp_ref(self) -> str:
        """Its reference, ``yyyy-mm-dd_n_subject``."""
        if self.account is not None and self.account.exp_ref is not None:
            return self.account.exp_ref
        named = read_reference(self.folders[0])
        manifests = (one.manifest for one in self.collected.parts.values())
        listed_as = next((one.exp_ref for one in manifests if one is not None), self.folders[0].name)
        return listed_as if named is None else str(named)

    @property
    def folder(self) -> Path:
        """Where the journal lies, or what there is."""
        return self.folders[0]

    @property
    def verdict(self) -> Word | None:
        """GOOD, DEGRADED, INCOMPLETE, INTERRUPTED or ABORTED; None: not known here, `reasons` says why."""
        return None if self.account is None else self.account.verdict

    @property
    def is_over(self) -> bool:
        """Whether the session has ended, as far as can be known; else the verdict is what it would be now."""
        return self.account is None or self.account.is_final

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not GOOD, the gravest first; or why there is no verdict."""
        return (self._problem,) if self.account is None else tuple(self.account.reasons)

    @property
    def missing(self) -> dict[str, str]:
        """Rigs of which something is not here → what, and what to do."""
        return self.collected.missing

    @cached_property
    def zero(self) -> Zero | None:
        """What all times count from; None: nothing here tells of any time."""
        found = (one.manifest for one in self.collected.parts.values())
        return find_zero(self.account, [one for one in found if one is not None], self.folders)

    @cached_property
    def rigs(self) -> dict[str, Rig]:
        """The rigs that took part, by name."""
        return list_rigs(self.account, self.collected)

    @cached_property
    def starts(self) -> Rows[Start]:
        """How each rig started; ``starts["left"].called``."""
        return list_starts(self.account, self._zero)

    @cached_property
    def markers(self) -> Rows[Mark]:
        """What was marked, oldest first."""
        return list_marks(self.account, self.folders, self._zero)

    @cached_property
    def files(self) -> Rows[FileRow]:
        """What was recorded, file by file; ``files["raw_video_data/…"].place`` is where it is here."""
        return list_files(self.account, self.collected, self._zero, self.folders)

    # -- data -----------------------------------------------------------------------------------------------

    @cached_property
    def _shelf(self) -> Shelf:
        return Shelf(self.files, self.collected, self.folders)

    @property
    def streams(self) -> tuple[str, ...]:
        """What times and frames can be asked for: ``rig/label`` of cameras, ``rig/path`` of tables."""
        return tuple(one.name for one in self._shelf.streams)

    def times(self, source: str, *, raw: bool = False) -> Any:
        """Return when each frame of a camera, or each row of a table, was.

        Parameters
        ----------
        source : str
            A camera's label, ``rig/label``, the path of a file, or a rig that has one source only.
        raw : bool
            Give the session clock as the files hold it: the ``time.perf_counter()`` of the PC that led.

        Returns
        -------
        numpy.ndarray
            Seconds, float64, in the order of the frames: all parts of a camera that was away, one after
            the other. Raw and in one part it is mapped from the disk.

        Raises
        ------
        ConfigError
            The name means none, or several; there are no times in it; or nothing here tells their zero.
        NotHere
            Its rig's part is not here.
        """
        numpy = need("numpy", "times")
        stream = self._shelf.choose(source, "times")
        if not stream.is_camera:
            return self._read_table_times(stream, raw=raw)
        found = self._shelf.read_times(stream)
        times = found[0] if len(found) == 1 else numpy.concatenate(found)
        if not raw and self.zero is None:
            raise ConfigError(
                f"{self.exp_ref}: nothing here tells when it began: copy its journal or manifests here; "
                "raw=True gives the times as they stand in the file"
            )
        return times if raw else numpy.asarray(times, numpy.float64) - self._zero

    def frames(self, source: str, *, layout: str = RGB) -> Frames:
        """Return the pictures of a camera, which are decoded when they are asked for.

        Parameters
        ----------
        source : str
            As for `times`.
        layout : str
            ``rgb24`` (height, width, 3), ``gray`` (height, width), or another of FFmpeg's names.

        Returns
        -------
        Frames
            As many as `times` gives, in the same order; each an array of uint8. Of a rig that died either may
            go on behind the end of the other.

        Raises
        ------
        ConfigError
            The name means none, or several; or it is no camera.
        NotHere
            Its rig's part is not here.
        """
        stream = self._shelf.choose(source, "raw")
        videos, limits = self._shelf.open_videos(stream)
        return Frames(videos, limits, layout)

    def clock(self, rig: str) -> Clock:
        """Return what was read of a rig's clock, and the way from its times to the session's.

        Parameters
        ----------
        rig : str
            Name of the rig, or what `times` takes: then the clock is that of its rig.

        Raises
        ------
        ConfigError
            There is no such rig, or its clock is not known here.
        """
        name = rig if rig in self.rigs else self._shelf.choose(rig, "times").rig
        if not name:
            raise ConfigError(f"{rig}: which rig has stamped it is not known here: copy the manifests here")
        return Clock(name, find_clock(name, self.folders, self.account), self._zero)

    def table(self, path: str) -> Any:
        """Return a table of a rig or a task: CSV, or JSON a line.

        Parameters
        ----------
        path : str
            In the session's folder, or the file's name where only one has it; ``rig/path`` where two rigs do.

        Returns
        -------
        pandas.DataFrame
            Its columns as they stand in the file. Where its first column is ``perf_counter`` or it has one
            ``session_time_s``, the index ``t`` is the session's time in seconds from the agreed start. If
            the clock of its rig is not known here, ``.attrs["why_no_time"]`` says why.

        Raises
        ------
        ConfigError
            There is no such file, or it is no table.
        NotHere
            Its rig's part is not here.
        """
        place, rig, path = self._shelf.look_up(path)
        zero = None if self.zero is None else self.zero.at
        try:
            clock, why = self._find_clock(path, rig), ""
        except ConfigError as error:
            clock, why = None, str(error)
        return read_table(place, zero, clock, why)

    def locate(self, path: str) -> Path:
        """Return where a file is.

        Parameters
        ----------
        path : str
            As for `table`.

        Raises
        ------
        ConfigError
            There is no such file.
        NotHere
            Its rig's part is not here.
        """
        return self._shelf.look_up(path)[0]

    def to_datetime(self, time: Any) -> Any:
        """Return the time of day, by the clock of the PC that led.

        Parameters
        ----------
        time : float or numpy.ndarray
            Seconds from the agreed start.

        Returns
        -------
        datetime.datetime or numpy.ndarray
            With the zone of that PC; of an array, datetime64[us] in UTC, since numpy knows no zones.

        Raises
        ------
        ConfigError
            Nothing here tells the time of day; or the time is no number.
        """
        wall = None if self.zero is None else self.zero.wall
        if wall is None:
            raise ConfigError(f"{self.exp_ref}: nothing here tells the time of day: copy the journal here")
        if not hasattr(time, "__len__"):
            try:
                return wall + datetime.timedelta(seconds=float(time))
            except (ValueError, OverflowError):
                raise ConfigError(f"{time} is no time of a session, so it has no time of day") from None
        numpy = need("numpy", "an array of times")
        start = numpy.datetime64(wall.astimezone(datetime.timezone.utc).replace(tzinfo=None), "us")
        return start + numpy.rint(numpy.asarray(time, numpy.float64) * 1e6).astype("timedelta64[us]")

    def __repr__(self) -> str:
        word = "no verdict" if self.account is None else self.account.headline
        return f"<session {self.exp_ref}: {word}; {self.collected}>"

    # -- how it is found ------------------------------------------------------------------------------------

    @property
    def _zero(self) -> float:
        return 0.0 if self.zero is None else self.zero.at

    def _explain(self) -> str:
        """Return why nothing here tells what the session was."""
        if rigs := list(self.collected.parts):
            what = f"only what {listed(rigs)} recorded"
            return f"no verdict: the journal is not here, {what}; the PC that led has it"
        return "no verdict: there is no journal; it was recorded without rigs, or another PC led"

    def _read_table_times(self, stream: Stream, *, raw: bool) -> Any:
        numpy = need("numpy", "times")
        found = []
        for path in stream.files["table"]:
            own = read_clock_column(self._shelf.find(path, stream.rig))
            if own is None:
                raise ConfigError(f"{path}: its first column is no perf_counter: .table() gives it as it is")
            clock = self._find_clock(path, stream.rig)
            found.append(clock(own) + self._zero)
        times = numpy.concatenate(found)
        return times if raw else times - self._zero

    def _find_clock(self, path: str, rig: str) -> Callable[[Any], Any]:
        """Return what gives the times of a file's own clock in seconds from the agreed start."""
        if rig:
            return Clock(rig, find_clock(rig, self.folders, self.account), self._zero).to_session
        own = [] if self.account is None else [one.path for one in self.account.own_files]
        if path not in own:
            raise ConfigError(f"{path}: which rig has stamped it is not known here: copy the manifests here")
        return lambda times: times - self._zero  # the PC that led has stamped it: the session clock
