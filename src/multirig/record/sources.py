"""What each source of a rig gave (a camera, a table), put together from the files that it lies in. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import PurePosixPath

from multirig.protocol.words import Evidence, Expected, File
from multirig.record.limits import DAMAGED_SHARE, find_fair_gap

SIDE_FILES = frozenset(
    {".cfg", ".flag", ".ini", ".json", ".lock", ".log", ".md", ".toml", ".txt", ".xml", ".yaml", ".yml"}
)
"""What lies beside data, may be empty, and proves nothing."""
_OWN = "_multirig"
_NOTHING = Evidence()
_ANYTHING = Expected()


def is_data(path: str) -> bool:
    """Return whether a file is what was to be recorded, by its name."""
    one = PurePosixPath(path)
    return one.suffix.lower() not in SIDE_FILES and not one.name.startswith((".", _OWN))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A time without a frame."""

    at: float
    """When it began: seconds on the conductor's clock."""
    seconds: float
    missing: int | None
    """Frames that are missing by it; None: no rate is known."""
    is_made_up: bool = False
    """Whether what did not come then came at its end, in a burst: nothing is missing, times are wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a rig recorded of one source: a file, or several parts one after the other."""

    name: str
    """A camera's label, or the path of the file."""
    has_name: bool
    """Whether whoever recorded it has named it: then it gives frames by itself, at a rate of its own."""
    parts: tuple[File, ...]
    """The oldest first; where a video and its times are two files, the one of which more is known."""

    @property
    def frames(self) -> int:
        """Frames in all parts."""
        return sum(part.frames or 0 for part in self.parts)

    @property
    def is_counted(self) -> bool:
        """Whether it is known how many frames it has."""
        return any(part.frames is not None for part in self.parts)

    @property
    def first(self) -> float | None:
        """Time of the first frame: seconds on the conductor's clock."""
        return min((part.first for part in self.parts if part.first is not None), default=None)

    @property
    def last(self) -> float | None:
        """Time of the last one."""
        return max((part.last for part in self.parts if part.last is not None), default=None)

    @property
    def is_examined(self) -> bool:
        """Whether somebody has looked at the times of its frames."""
        return any(one.backwards is not None or one.rate is not None for one in self.evidence)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Of each part."""
        return tuple(part.evidence or _NOTHING for part in self.parts)

    @property
    def expected(self) -> Expected:
        """What somebody expects of it."""
        return next((one.expected for one in self.evidence if one.expected is not None), _ANYTHING)

    @property
    def promised(self) -> float | None:
        """Frames a second that it should give: as expected, asked or promised."""
        asked = next((one.asked for one in self.evidence if one.asked), None)
        return self.expected.fps or asked

    @property
    def given(self) -> float | None:
        """Frames a second that it gave, in the middle; None: it has no rate, or that is not known."""
        rated = [part for part in self.parts if part.evidence is not None and part.evidence.rate]
        longest = max(rated, key=lambda part: part.frames or 0, default=None)
        return None if longest is None or longest.evidence is None else longest.evidence.rate

    @property
    def rate(self) -> float | None:
        """Frames a second by which gaps are judged; None: it gives frames when something happens."""
        return self.promised or (self.given if self.has_name else None)

    @property
    def mean(self) -> float | None:
        """Frames a second over all its parts, without the time between them."""
        seconds, frames = self.seconds, sum(max(0, (part.frames or 0) - 1) for part in self.parts)
        return frames / seconds if seconds > 0 else None

    @property
    def seconds(self) -> float:
        """How long all parts are together."""
        return sum(
            max(0.0, part.last - part.first)
            for part in self.parts
            if part.first is not None and part.last is not None
        )

    @property
    def fair_gap(self) -> float | None:
        """Seconds that may lie between two frames; None: any."""
        rate = self.rate
        return self.expected.longest_gap or (find_fair_gap(rate) if rate else None)

    @property
    def fair_damage(self) -> float:
        """Share of the pictures that may be damaged."""
        share = self.expected.damaged
        return DAMAGED_SHARE if share is None else share

    @property
    def period(self) -> float:
        """Seconds from one frame to the next, as far as that is known; 0 where it is not."""
        if rate := self.promised or self.given:
            return 1 / rate
        mean = self.mean
        if self.is_examined or not mean:  # what happens now and then may next happen as much later
            return max((one.longest_gap or 0.0 for one in self.evidence), default=0.0)
        return 1 / mean

    def total(self, of: str) -> int | None:
        """Return the sum of a number that the evidence of each part holds; None: none says it."""
        told = [number for one in self.evidence if (number := getattr(one, of)) is not None]
        return sum(told) if told else None

    def gaps(self) -> Iterator[Gap]:
        """Yield the longest gap within each part, and those between two parts."""
        rate, fair = self.rate, self.fair_gap or 0.0
        last: float | None = None
        for part, one in zip(self.parts, self.evidence, strict=True):
            if last is not None and part.first is not None and part.first > last:
                seconds = part.first - last
                yield Gap(at=last, seconds=seconds, missing=_count_missing(seconds, rate))
            if one.longest_gap is not None and one.gap_at is not None:
                missing = _count_missing(one.longest_gap, rate) if one.missing is None else one.missing
                held_up = one.bound if one.bursts and one.bound is not None else 0.0
                is_made_up = not missing and held_up > 0 and one.longest_gap - held_up <= fair
                yield Gap(at=one.gap_at, seconds=one.longest_gap, missing=missing, is_made_up=is_made_up)
            if part.last is not None:
                last = max(part.last, last or part.last)


def _count_missing(seconds: float, rate: float | None) -> int | None:
    return None if rate is None else max(0, round(seconds * rate) - 1)


def find_sources(files: Iterable[File]) -> list[Source]:
    """Return what each source of a rig gave, in the order of its files; what lies beside data is left out."""
    found: dict[tuple[bool, str], list[File]] = {}
    for file in files:
        if is_data(file.path):
            label = file.evidence.source if file.evidence is not None else None
            found.setdefault((label is not None, label or file.path), []).append(file)
    return [
        Source(name=name, has_name=has_name, parts=_choose_parts(parts))
        for (has_name, name), parts in found.items()
    ]


def _choose_parts(files: Sequence[File]) -> tuple[File, ...]:
    """Return the files of that kind of which most is known: a video's times lie beside it."""
    kinds: dict[str, list[File]] = {}
    for file in files:
        kinds.setdefault(PurePosixPath(file.path).suffix.lower(), []).append(file)
    # a table of arrivals beside one of times holds the same frames
    examined = [[one for one in kind if _is_examined(one)] or kind for kind in kinds.values()]
    best = max(examined, key=lambda kind: sum(map(_count_known, kind)))
    return tuple(sorted(best, key=lambda file: (file.first is None, file.first or 0.0)))


def _is_examined(file: File) -> bool:
    return file.evidence is not None and file.evidence.backwards is not None


def _count_known(file: File) -> int:
    evidence = file.evidence or _NOTHING
    return sum(getattr(evidence, one.name) is not None for one in fields(Evidence)) + (
        file.frames is not None
    )
