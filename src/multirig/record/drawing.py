"""A picture of a session: a PNG, an SVG, or a page of HTML that needs nothing else.

matplotlib is loaded when something is drawn, and draws into memory: no window, no screen.
"""

from __future__ import annotations

import html
import io
import re
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from multirig.errors import ConfigError, why_not
from multirig.lifecycle.rig_states import RigState
from multirig.record.plot import STATES, UNKNOWN, Picture
from multirig.record.story import CONDUCTOR
from multirig.writing import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".html")
"""What can be drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paper:
    """What a picture is drawn on."""

    colour: str
    ink: str
    colours: tuple[str, ...]
    """Of rigs and points: each has a sign of its own too, and a rig also a line."""


_PAPERS = {
    False: _Paper(
        colour="#FFFFFF",
        ink="#000000",
        # Okabe and Ito's, which the colour-blind can tell apart
        colours=("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"),
    ),
    True: _Paper(
        colour="#191E26",
        ink="#EEF1F5",
        # the same hues, lighter
        colours=("#4DA3E0", "#FF8C42", "#2FC99A", "#E39AC6", "#9AD4F5", "#F0B429", "#FFFFFF"),
    ),
}
"""By whether the page is dark."""
_DRAWS = threading.Lock()
"""Held while a picture is drawn: matplotlib's settings are those of the whole program."""
_SIGNS = ("o", "s", "^", "D", "v", "P", "X")
_LINES = ("-", "--", "-.", ":")
_LOOKS: Mapping[str, tuple[str, str]] = {
    RigState.CONNECTED.value: ("#FFFFFF", ""),
    RigState.INITIALIZING.value: ("#D9E8F5", "//"),
    RigState.INITIALIZED.value: ("#B3D4EC", ""),
    RigState.STARTING.value: ("#F0E442", "//"),
    RigState.RUNNING.value: ("#009E73", ""),
    RigState.STOPPING.value: ("#E69F00", "\\\\"),
    RigState.STOPPED.value: ("#DDDDDD", ""),
    RigState.CLEANING.value: ("#EEEEEE", "\\\\"),
    RigState.FAILING.value: ("#D55E00", "xx"),
    RigState.BROKEN.value: ("#D55E00", "++"),
    UNKNOWN: ("#FFFFFF", ".."),
}
"""Colour and hatching of each state."""
_SHOWN_MARKERS = 20
"""Markers whose text stands in the picture; the page shows the others under the pointer."""
_LABEL = 20
"""Letters of a marker that stand in the picture."""
_NAMED_SHARE = 0.08
"""Part of the axis that a state must last for to have its name in it."""
_NEAR = 0.01
"""Milliseconds from the agreed instant that are always drawn to scale."""


def draw(picture: Picture, path: Path) -> None:
    """Draw a picture into a file; the suffix says how.

    Raises
    ------
    ConfigError
        The suffix is another one, matplotlib is missing, or the file cannot be written.
    """
    check_suffix(path)
    data = _write_page(picture) if path.suffix.lower() == ".html" else draw_bytes(picture, "png")
    try:
        write_whole(path, data)
    except OSError as error:
        reason = why_not(error)
        raise ConfigError(f"cannot write the picture {path}: {reason}; choose another file") from None


def draw_bytes(picture: Picture, kind: Literal["svg", "png"], *, is_dark: bool = False) -> bytes:
    """Return a picture of a session, in memory.

    Any thread may call it; one draws at a time.

    Parameters
    ----------
    picture : Picture
        What it shows.
    kind : {'svg', 'png'}
        SVG is one element without a header, to stand in a page; what its bars and ticks are stands under the
        pointer. It scales with the room that it gets.
    is_dark : bool
        Light on dark, for a page that is dark.

    Returns
    -------
    bytes
        UTF-8 text, or the PNG at 150 dots an inch.

    Raises
    ------
    ConfigError
        matplotlib is missing.
    """
    figure_class, settings = _load()
    data = io.BytesIO()
    with _DRAWS, settings(_PAPERS[is_dark]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name that the font cannot write
        figure = _draw(figure_class, picture, _PAPERS[is_dark])
        if kind == "png":
            figure.savefig(data, format="png", dpi=150)
            return data.getvalue()
        figure.savefig(data, format="svg", metadata={"Date": None})
    return _title(data.getvalue().decode(), picture).encode()


def check_suffix(path: Path) -> None:
    """Raise ConfigError for a file that nothing can be drawn into."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"cannot draw into {path}: give a file that ends in {' or '.join(SUFFIXES)}")


def _load() -> tuple[type[Figure], Callable[[_Paper], Any]]:
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("a picture needs matplotlib: pip install 'multirig[plot]'") from None
    settings: Any = {
        "svg.fonttype": "none",  # text stays text: it can be searched for, and read aloud
        "text.parse_math": False,  # a dollar in a name is a dollar
        "font.size": 9.0,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "hatch.linewidth": 0.5,
    }

    def set_up(paper: _Paper) -> Any:
        inks = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
        papers = ("figure.facecolor", "axes.facecolor")
        colours: Any = dict.fromkeys(inks, paper.ink) | dict.fromkeys(papers, paper.colour)
        return rc_context(settings | colours)

    return Figure, set_up


def _title(text: str, picture: Picture) -> str:
    """Return a drawing that says what is under the pointer, in the titles of its groups."""
    titles = {f"tick-{place}": f"{one.who}: {one.text}" for place, one in enumerate(picture.ticks)}
    for rig, spans in picture.states.items():
        for span in spans:
            place = f"span-{len(titles)}"
            titles[place] = f"{rig}: {span.state} from {span.begin:.3f} s to {span.end:.3f} s"
    return re.sub(
        r'<g id="((?:tick|span)-\d+)">',
        lambda found: f"{found[0]}<title>{html.escape(titles.get(found[1], ''))}</title>",
        text[text.index("<svg") :],
    )


def _write_page(picture: Picture) -> bytes:
    drawn = draw_bytes(picture, "svg").decode()
    title = html.escape(picture.title)
    page = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}: clocks and starts</title>
<style>body {{ font-family: sans-serif; margin: 1em }} svg {{ max-width: 100%; height: auto }}</style>
</head>
<body>
<h1>{title}</h1>
<p>{html.escape(picture.spread)}. Point at a bar or a tick to read what it is.</p>
{drawn}
</body>
</html>
"""
    return page.encode()


def _draw(figure_class: type[Figure], picture: Picture, paper: _Paper) -> Figure:
    lanes = len(picture.states) + 1
    heights = (2.6, 0.9 + 0.45 * lanes, 0.9 + 0.4 * max(1, len(picture.starts)))
    figure = figure_class(figsize=(11, sum(heights) + 1.2), layout="constrained")
    figure.suptitle(picture.title)
    above, middle, below = figure.subplots(3, 1, height_ratios=heights)
    above.sharex(middle)
    _draw_clocks(above, picture, paper)
    _draw_states(middle, picture, paper)
    _draw_starts(below, picture, paper)
    return figure


def _draw_clocks(axes: Axes, picture: Picture, paper: _Paper) -> None:
    axes.set_title("How far each clock has moved since its first reading", loc="left")
    axes.set_ylabel("ms")
    axes.tick_params(labelbottom=False)
    for place, curve in enumerate(picture.curves):
        colour = paper.colours[place % len(paper.colours)]
        sign, line = _SIGNS[place % len(_SIGNS)], _LINES[place % len(_LINES)]
        low = [offset - bound for offset, bound in zip(curve.offsets, curve.bounds, strict=True)]
        high = [offset + bound for offset, bound in zip(curve.offsets, curve.bounds, strict=True)]
        axes.fill_between(curve.seconds, low, high, color=colour, alpha=0.2, linewidth=0)
        often = max(1, len(curve.seconds) // 30)
        axes.plot(
            curve.seconds,
            curve.offsets,
            color=colour,
            linestyle=line,
            marker=sign,
            markevery=often,
            markersize=4,
            label=f"{curve.rig} ± {max(curve.bounds):.3f} ms at the most",
        )
    if picture.curves:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    else:
        _say_nothing(axes, "no clock was read")


def _draw_states(axes: Axes, picture: Picture, paper: _Paper) -> None:
    from matplotlib.patches import Patch

    axes.set_title("What each rig was in, and what was said", loc="left")
    axes.set_xlabel(picture.axis)
    lanes = {name: len(picture.states) - place for place, name in enumerate(picture.states)} | {CONDUCTOR: 0}
    axes.set_yticks(list(lanes.values()), list(lanes))
    room = 1.8 if any(one.is_marker for one in picture.ticks) else 0.6
    axes.set_ylim(-room, len(picture.states) + 0.6)
    ends = [one.end for spans in picture.states.values() for one in spans]
    begins = [one.begin for spans in picture.states.values() for one in spans]
    first, last = min(begins, default=0.0), max(ends, default=0.0)
    length = last - first
    if length > 0.0:
        axes.set_xlim(first - 0.02 * length, last + 0.02 * length)
    number, seen = len(picture.ticks), set()
    for rig, spans in picture.states.items():
        for span in spans:
            colour, hatch = _LOOKS[span.state]
            (bar,) = axes.barh(
                lanes[rig],
                span.end - span.begin,
                left=span.begin,
                height=0.5,
                color=colour,
                hatch=hatch,
                edgecolor="#555555",
                linewidth=0.5,
            )
            bar.set_gid(f"span-{number}")
            number += 1
            seen.add(span.state)
            if span.end - span.begin > length * _NAMED_SHARE:
                middle = (span.begin + span.end) / 2
                axes.text(
                    middle, lanes[rig], span.state, color="#000000", ha="center", va="center", clip_on=True
                )
    named = 0
    for place, tick in enumerate(picture.ticks):
        at, lane = tick.seconds, lanes[tick.who]
        colour, low, high = (
            (paper.colours[1], lane - 0.3, lane + 0.3) if tick.is_marker else (paper.ink, lane, lane + 0.4)
        )
        (line,) = axes.plot([at, at], [low, high], color=colour, linewidth=1.5 if tick.is_marker else 0.8)
        line.set_gid(f"tick-{place}")
        if tick.is_marker and named < _SHOWN_MARKERS:
            named += 1
            axes.text(at, low, tick.text[:_LABEL], rotation=-40, fontsize=7, va="top", rotation_mode="anchor")
    looks = [
        Patch(facecolor=_LOOKS[state][0], hatch=_LOOKS[state][1], edgecolor="#555555", label=state)
        for state in STATES
        if state in seen
    ]
    if looks:
        axes.legend(handles=looks, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)


def _draw_starts(axes: Axes, picture: Picture, paper: _Paper) -> None:
    axes.set_title(f"Start: {picture.spread}", loc="left")
    axes.set_xlabel(picture.start_axis)
    points = (
        ("heard", "<", paper.colours[4], "has the command"),
        ("called", "o", paper.colours[0], "adapter is told to start"),
        ("returned", "|", paper.ink, "adapter has started"),
        ("first", "D", paper.colours[1], "first frame"),
    )
    lanes = {one.rig: len(picture.starts) - place for place, one in enumerate(picture.starts)}
    axes.set_yticks(list(lanes.values()), list(lanes))
    axes.set_ylim(0.4, len(lanes) + 0.6)
    for key, sign, colour, label in points:
        shown = [(at, one) for one in picture.starts if (at := getattr(one, key)) is not None]
        if shown:
            axes.errorbar(
                [at for at, _ in shown],
                [lanes[one.rig] for _, one in shown],
                xerr=[one.bound for _, one in shown],
                fmt=sign,
                color=colour,
                capsize=3,
                label=label,
            )
    if lanes:
        axes.axvline(0.0, color="#999999", linewidth=0.8, linestyle=":")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        near = max(
            (abs(one.called) + one.bound for one in picture.starts if one.called is not None), default=0
        )
        # the starts are spread out evenly, and what lies far from them still finds room
        axes.set_xscale("symlog", linthresh=max(_NEAR, 1.5 * near))
        axes.xaxis.set_major_formatter("{x:g}")
    else:
        _say_nothing(axes, "no rig tells when it started")


def _say_nothing(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
