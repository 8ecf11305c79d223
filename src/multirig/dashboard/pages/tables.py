"""Tables as one piece of HTML: a thousand rows cost the console no more than one element.

This is the one place where HTML is put together; whatever is shown is escaped here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from nicegui import ui

from multirig.dashboard.view.tones import Tone
from multirig.wording import clean


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a field of a table."""

    text: str
    link: str | None = None
    """Where its text leads; the whole row does too."""
    label: str | None = None
    """What the link is called, where its text alone says too little."""
    tone: Tone | None = None
    icon: str | None = None
    """Name of a Material icon; it says the same as the tone."""
    is_number: bool = False
    is_heading: bool = False
    """Whether it names its row."""
    is_part: bool = False
    """Whether it names the rows that follow."""
    is_long: bool = False
    """Whether it is broken into lines; what is short never is."""
    is_soft: bool = False
    is_strong: bool = False
    name: str = ""
    """What stands before it where rows are stacked and no heading is above it."""
    span: int = 1
    """Columns that it takes."""


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands above a column."""

    text: str
    is_number: bool = False


def write_table(caption: str, headings: Sequence[Heading], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a table in HTML; its caption is for those who have it read to them."""
    head = "".join(
        f'<th scope="col" role="columnheader"{_classes("number" if one.is_number else "")}>'
        f"{escape(one.text)}</th>"
        for one in headings
    )
    body = "".join(map(_write_row, rows))
    # the roles say what browsers forget of a table whose rows are laid out otherwise
    return (
        f'<table class="plain" role="table"><caption class="unseen">{escape(caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{body}</tbody></table>'
    )


def _write_row(row: Sequence[Cell]) -> str:
    look = "link" if any(cell.link is not None for cell in row) else ""
    look = "part" if any(cell.is_part for cell in row) else look
    return f'<tr role="row"{_classes(look)}>{"".join(map(_write_cell, row))}</tr>'


def _write_cell(cell: Cell) -> str:
    icon = ""
    if cell.icon is not None:
        icon = f'<i class="q-icon material-icons notranslate" aria-hidden="true">{escape(cell.icon)}</i>'
    text = icon + escape(clean(cell.text, keep="\n"))
    if cell.link is not None:
        label = f' aria-label="{escape(cell.label)}"' if cell.label is not None else ""
        text = f'<a href="{escape(cell.link)}"{label}>{text}</a>'
    tag, role = "td", "cell"
    if cell.is_heading or cell.is_part:
        tag, role = "th", "rowheader"
    scope = ' scope="row"' if tag == "th" else ""
    name = f' data-name="{escape(cell.name)}"' if cell.name else ""
    span = f' colspan="{cell.span}"' if cell.span > 1 else ""
    classes = _classes(
        "number" if cell.is_number else "",
        f"toned tone-{cell.tone.value}" if cell.tone is not None else "",
        "long" if cell.is_long else "",
        "soft" if cell.is_soft else "",
        "strong" if cell.is_strong else "",
    )
    return f'<{tag} role="{role}"{scope}{span}{name}{classes}>{text}</{tag}>'


def _classes(*names: str) -> str:
    found = " ".join(name for name in names if name)
    return f' class="{found}"' if found else ""


class Table:
    """A table in a box of its own, which scrolls sideways where the window is narrow.

    ``tall``: it scrolls downwards too; ``stacked``: on a phone each row becomes a few lines instead.
    """

    def __init__(self, caption: str, classes: str = "") -> None:
        self._caption = caption
        self.root = ui.html("", sanitize=False).classes(f"scroll {classes}")
        self.root.props("tabindex=0 role=region")
        self.root.props["aria-label"] = caption

    def show(self, headings: Sequence[Heading], rows: Iterable[Sequence[Cell]]) -> None:
        """Show these rows; nothing is sent where they are the same as before."""
        content = write_table(self._caption, headings, rows)
        if content != self.root.content:
            self.root.content = content
