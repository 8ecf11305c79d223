"""What one camera records in a session: a part for each time that its source was there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock

from av.video.frame import VideoFrame

from multirig.errors import AdapterError
from multirig.record.limits import DAMAGED_SHARE
from multirig.rig.adapter import Finding, Level, Session
from multirig.rig.adapters.camera.frame_clock import Moment
from multirig.rig.adapters.camera.options import NANOSECONDS, CameraOptions
from multirig.rig.adapters.camera.recording import Recording
from multirig.wording import count

RETRY = NANOSECONDS
"""After which a further part is tried where an encoder has failed."""
LASTING = 10 * NANOSECONDS
"""So long after the last damaged picture they are taken to come still."""
FEW = 3
"""So many damaged pictures are told at the end alone."""
TOLD_ONE_BY_ONE = 3
"""So many gaps are told each by itself; more of them together, since a report must stay small."""


@dataclass(slots=True, kw_only=True)
class Gap:
    """A time in which a camera gave nothing."""

    began: int
    """When the last frame before it came, or the recording began; this PC's clock, ns."""
    ended: int | None = None
    """When the first frame after it came; None: it lasts."""
    reason: AdapterError
    """Why."""
    part: Recording | None = None
    """In which the camera went on."""


class Take:
    """Gives the frames of a camera to a recording, and to a further one after each gap.

    `offer`, `drop` and `break_off` are called by the thread that reads the camera, and never wait for a disk.

    Parameters
    ----------
    options : CameraOptions
        Of the camera.
    session : Session
        What is recorded, and where.
    rate : float
        Frames a second that are expected.
    show : callable, optional
        Takes each frame, with its time, once it is in the video and nothing here needs it any more.
    """

    def __init__(
        self,
        options: CameraOptions,
        session: Session,
        rate: float,
        show: Callable[[int, VideoFrame], None] = lambda stamp, frame: None,
    ) -> None:
        self.options = options
        self.session = session
        self.rate = rate
        """Frames a second that are expected of the next part."""
        self.has_ended_by_itself = False
        """Whether its source has come to its end."""
        self._show = show
        self._lock = Lock()
        """Held while parts begin and end, which takes no time."""
        self._ended = False
        self._gaps: list[Gap] = []
        self._last = time.perf_counter_ns()
        """When the last frame was there, or it began."""
        self._missed = 0
        """Frames that came when there was no part to take them."""
        self.parts: list[Recording] = []
        """One after another."""
        self._open_part(self._last)

    def begin(self, now: int) -> None:
        """Take no frames of before that time; ns."""
        self._last = now
        self.parts[0].begin(now)

    # -- from the camera ----------------------------------------------------------------------------------

    def offer(self, moment: Moment, frame: VideoFrame) -> None:
        """Take a frame, into a further part where there was a gap."""
        with self._lock:
            if self._ended:
                return
            part, stamp = self.parts[-1], moment.at - self.options.latency_ns
            if part.ended and not self._go_on(part, stamp):
                self._missed += 1
                return
            if (gap := self.gap) is not None:
                gap.ended, gap.part = stamp, self.parts[-1]
            self._last = stamp
            self.parts[-1].offer(moment, frame)

    def drop(self) -> None:
        """Count a frame that came and could not be read."""
        self.parts[-1].drop()

    def break_off(self, reason: AdapterError) -> None:
        """End a part, since its camera gives nothing more; the next frame begins another."""
        with self._lock:
            if not self._ended and not self.is_away:
                self._gaps.append(Gap(began=self._last, reason=reason))
                if self.parts[-1].has_frames:
                    self.parts[-1].finish()

    def end_by_itself(self) -> None:
        """End it, since its source has come to its end."""
        self.has_ended_by_itself = not self._ended
        self.finish()

    # -- from the rig -------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Take no more frames; files are closed when the frames that wait are encoded."""
        with self._lock:
            self._ended = True
        self.parts[-1].finish()

    def abandon(self) -> None:
        """Close the files without the frames that still wait; they count as dropped."""
        self.finish()
        for part in self.parts:
            part.abandon()

    @property
    def ended(self) -> bool:
        """Whether it takes no more frames."""
        return self._ended

    @property
    def is_away(self) -> bool:
        """Whether the camera gives nothing now."""
        return bool(self._gaps) and self._gaps[-1].ended is None

    @property
    def gap(self) -> Gap | None:
        """The gap that lasts."""
        return self._gaps[-1] if self.is_away else None

    @property
    def is_behind(self) -> bool:
        """Whether frames wait for the encoder."""
        return self.parts[-1].is_behind

    @property
    def dropped(self) -> int:
        """Frames that were seen and are in no video."""
        return self._missed + sum(part.dropped for part in self.parts)

    def find_failures(self, now: int) -> dict[Recording, AdapterError]:
        """Return why the disk takes nothing more, for each part of which that holds."""
        return {part: failure for part in self.parts if (failure := part.find_failure(now)) is not None}

    def find_errors(self) -> dict[Recording, AdapterError]:
        """Return why parts have failed, but for those of which `findings` tells."""
        return {
            part: part.error
            for part in self.parts
            if part.error is not None and not any(gap.reason is part.error for gap in self._gaps)
        }

    def findings(self) -> Sequence[Finding]:
        """Return what of its time is missing, and that it has come to its end."""
        found = []
        over = [gap for gap in self._gaps if gap.ended is not None]
        if len(over) > TOLD_ONE_BY_ONE:
            found.append(self._tell_together(over))
        else:
            found += [self._tell(gap) for gap in over]
        if (gap := self.gap) is not None:
            found.append(self._tell(gap))
        found += self._tell_of_pictures()
        if self.has_ended_by_itself:
            at = self._to_seconds(self._last)
            text = f"camera {self.options.label} has ended with its file {self.options.name}"
            found.append(Finding(level=Level.NOTE, kind="camera", text=text, at=at, until=at))
        return found

    def _tell_of_pictures(self) -> Sequence[Finding]:
        """Return that pictures come damaged, while they do, and that a video holds less than they tell."""
        found = []
        label, parts = self.options.label, self.parts
        damaged, frames = sum(part.damaged for part in parts), sum(part.frames for part in parts)
        since = next((part.damaged_since for part in parts if part.damaged_since is not None), None)
        last = max(part.damaged_at for part in parts)
        share = self.options.expect.damaged
        is_much = damaged > max(FEW, (DAMAGED_SHARE if share is None else share) * frames)
        if since is not None and self._ended and damaged > FEW:  # its files tell how many
            at, until = self._to_seconds(since), self._to_seconds(last)
            text = f"camera {label} gave damaged pictures, from the first to the last for {until - at:.1f} s"
            found.append(Finding(level=Level.NOTE, kind="camera", text=text, at=at, until=until))
        elif since is not None and is_much and time.perf_counter_ns() - last < LASTING:
            text = f"camera {label} gives damaged pictures: check its cable, its network and its power"
            at = self._to_seconds(since)
            found.append(Finding(level=Level.WARNING, kind="camera", text=text, at=at))
        found += [one for part in parts[:TOLD_ONE_BY_ONE] for one in self._tell_of_sameness(part)]
        bits = max((part.video.pixels.bits_lost for part in parts if part.video), default=0)
        if bits:
            text = f"camera {label}: the lowest {bits} bits of its values are not in the video, which has 10"
            found.append(Finding(level=Level.NOTE, kind="camera", text=text))
        return found

    def _tell_of_sameness(self, part: Recording) -> Iterator[Finding]:
        """Yield that the pictures of a part changed their size, or did not change at all."""
        label, sameness = self.options.label, part.sameness
        if (resized := sameness.resized) is not None:
            before, after = (f"{width}x{height}" for width, height in (resized.before, resized.after))
            at = self._to_seconds(resized.at)
            when, scaled = self._since(resized.at), count(resized.frames, "picture")
            text = (
                f"camera {label} changed the size of its picture from {before} to {after} "
                f"{when:.1f} s after its first one: {scaled} scaled"
            )
            yield Finding(level=Level.WARNING, kind="camera", text=text, at=at, until=at)
        if (same := sameness.longest) is not None and same.is_long:
            began, ended = self._to_seconds(same.began), self._to_seconds(same.ended)
            text = (
                f"camera {label} showed one and the same picture for {ended - began:.1f} s, from "
                f"{self._since(same.began):.1f} s after its first one: does it stand still, or is it covered?"
            )
            yield Finding(level=Level.NOTE, kind="camera", text=text, at=began, until=ended)

    # -- parts and gaps -----------------------------------------------------------------------------------

    def _open_part(self, since: int) -> None:
        part = Recording(self.options, self.session, self._show)
        self.parts.append(part)
        part.open(self.rate, since)

    def _go_on(self, part: Recording, stamp: int) -> bool:
        """Begin a further part; return False where an encoder has just failed."""
        if part.error is not None and not self.is_away:
            self._gaps.append(Gap(began=self._last, reason=part.error))
        if part.has_failed_disk or (part.error is not None and stamp - self._last < RETRY):
            return False
        self._open_part(stamp)
        return True

    def _tell(self, gap: Gap) -> Finding:
        label, began = self.options.label, self._to_seconds(gap.began)
        if gap.ended is None:
            then = "it did not come back before the stop" if self._ended else "it is opened again and again"
            return Finding(level=Level.ALARM, kind="camera", text=f"{gap.reason.message}; {then}", at=began)
        ended = self._to_seconds(gap.ended)
        text = (
            f"camera {label} gave nothing for {ended - began:.1f} s and went on in part {_number(gap)}: "
            f"{gap.reason.message.removeprefix(f'camera {label}: ')}"
        )
        return Finding(level=Level.WARNING, kind="camera", text=text, at=began, until=ended)

    def _tell_together(self, gaps: Sequence[Gap]) -> Finding:
        label, last = self.options.label, gaps[-1]
        seconds = sum((gap.ended or gap.began) - gap.began for gap in gaps) / NANOSECONDS
        text = (
            f"camera {label} gave nothing {len(gaps)} times, {seconds:.1f} s in all, and went on in parts "
            f"{_number(gaps[0])} to {_number(last)}: {last.reason.message.removeprefix(f'camera {label}: ')}"
        )
        return Finding(
            level=Level.WARNING,
            kind="camera",
            text=text,
            at=self._to_seconds(gaps[0].began),
            until=self._to_seconds(last.ended or last.began),
        )

    def _since(self, stamp: int) -> float:
        """Return how many seconds after its first picture that was."""
        first = self.parts[0].sameness.first
        return 0.0 if first is None else max(0, stamp - first) / NANOSECONDS

    def _to_seconds(self, stamp: int) -> float:
        return self.session.to_session_time(stamp) / NANOSECONDS


def _number(gap: Gap) -> int:
    """Return in which part of the files the camera went on."""
    return gap.part.number if gap.part is not None else 1
