"""The pictures of a camera, decoded when they are asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import accumulate, islice
from pathlib import Path
from types import TracebackType
from typing import Any, overload

from multirig.errors import ConfigError
from multirig.reading.packages import need

RGB = "rgb24"
"""Height, width and three colours, a byte each."""


class Video:
    """One video, in which any frame can be had.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._container: Any = None
        self._decoded: Iterator[Any] = iter(())
        self._next = 0
        """Place of the frame that the decoder gives next."""
        self._found: list[int] | None = None

    def __len__(self) -> int:
        return len(self._stamps)

    def frame(self, place: int) -> Any:
        """Return a frame by its place, as PyAV has it."""
        stamps = self._stamps
        container = self._open()
        if not self._next <= place < self._next + _NEAR:
            stream = container.streams.video[0]
            container.seek(stamps[place], stream=stream, backward=True, any_frame=False)
            self._decoded = container.decode(stream)
        wanted = stamps[place]
        for frame in self._decoded:
            if frame.pts is not None and frame.pts >= wanted:
                self._next = place + 1
                if frame.pts == wanted:
                    return frame
                break
        raise ConfigError(f"{self.path}: frame {place} cannot be decoded: is the file whole?")

    def frames(self) -> Iterator[Any]:
        """Yield all frames, as PyAV has them."""
        with closing(self._open_anew()) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield from container.decode(stream)

    def close(self) -> None:
        """Close the file; it is opened again where something is asked for."""
        if self._container is not None:
            self._decoded, self._next = iter(()), 0
            self._container.close()
            self._container = None

    @property
    def _stamps(self) -> list[int]:
        """The time of each frame within the video, in ticks: what it is found by."""
        if self._found is None:
            self._found = self._read_index() or self._read_packets()
        return self._found

    def _read_index(self) -> list[int]:
        """Return the times by the video's index; nothing where it has none, as before it is closed."""
        with closing(self._open_anew()) as container:
            stream = container.streams.video[0]
            entries = getattr(stream, "index_entries", ())  # older PyAV has none
            if not len(entries) or len(entries) != stream.frames or stream.codec_context.has_b_frames:
                return []
            stamps = [one.timestamp for one in entries]
            first = next(container.decode(stream), None)
            return stamps if first is not None and first.pts == stamps[0] else []

    def _read_packets(self) -> list[int]:
        """Return the times by reading the whole video, without decoding it."""
        with closing(self._open_anew()) as container:
            packets = container.demux(container.streams.video[0])
            return sorted(one.pts for one in packets if one.pts is not None and one.size)

    def _open(self) -> Any:
        if self._container is None:
            self._container = self._open_anew()
            self._decoded, self._next = self._container.decode(self._container.streams.video[0]), 0
        return self._container

    def _open_anew(self) -> Any:
        av = need("av", "a video")
        try:
            container = av.open(str(self.path))
        except (av.error.FFmpegError, OSError) as error:
            raise ConfigError(f"{self.path}: cannot be opened as a video ({error}): is it whole?") from None
        if not container.streams.video:
            container.close()
            raise ConfigError(f"{self.path}: there is no video in it")
        return container


_NEAR = 30
"""Frames ahead that are decoded one after the other; farther ones are sought from their key frame."""


class Frames(Sequence[Any]):
    """The frames of a camera in order, all parts one after the other: ``frames[7]``, ``frames[10:20]``.

    Nothing is decoded before it is asked for. One after the other is quickest; any other one costs up to as
    many as there are from its key frame on: a second's.

    Parameters
    ----------
    videos : sequence of Video
        The parts.
    counts : sequence of int or None
        How many frames of each part count; None: all.
    layout : str
        Of the arrays: ``rgb24`` (height, width, 3), ``gray`` (height, width), or another name of FFmpeg's.
    """

    def __init__(self, videos: Sequence[Video], counts: Sequence[int | None], layout: str = RGB) -> None:
        self._videos = videos
        self._limits = counts
        self._layout = layout
        self._ends: list[int] | None = None

    def __len__(self) -> int:
        return self._find_ends()[-1] if self._videos else 0

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...

    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        whole = place + len(self) if place < 0 else place
        if not 0 <= whole < len(self):
            raise IndexError(f"there are {len(self)} frames: {place} is none of them")
        ends = self._find_ends()
        at = bisect_right(ends, whole)
        begin = ends[at - 1] if at else 0
        return self._to_array(self._videos[at].frame(whole - begin))

    def __iter__(self) -> Iterator[Any]:
        for video, limit in zip(self._videos, self._limits, strict=True):
            for frame in islice(video.frames(), limit):
                yield self._to_array(frame)

    def __enter__(self) -> Frames:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<frames of {', '.join(one.path.name for one in self._videos)}>"

    def close(self) -> None:
        """Close the files."""
        for one in self._videos:
            one.close()

    def _find_ends(self) -> list[int]:
        """Return behind which place each part ends."""
        if self._ends is None:
            pairs = zip(self._videos, self._limits, strict=True)
            counts = [len(video) if limit is None else min(len(video), limit) for video, limit in pairs]
            self._ends = list(accumulate(counts))
        return self._ends

    def _to_array(self, frame: Any) -> Any:
        return frame.to_ndarray(format=self._layout)
