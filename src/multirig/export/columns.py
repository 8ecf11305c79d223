"""Tables as they stand in the file: columns of one type, each described; what nobody knows is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from multirig.export.naming import plain
from multirig.reading.packages import need

_WHOLE = 2**63
"""Whole numbers from here on HDF5 cannot hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column."""

    name: str
    """As it stands in the file."""
    about: str
    """What it holds, with its unit."""
    cells: Sequence[Any]
    """One for each row; None: not known."""

    @property
    def is_known(self) -> bool:
        """Whether anything is known in it."""
        return any(one is not None for one in self.cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table."""

    name: str
    """As it stands in the file."""
    about: str
    """What it holds."""
    columns: Sequence[Column] = field(default_factory=tuple)

    def __len__(self) -> int:
        return len(self.columns[0].cells) if self.columns else 0

    @property
    def known(self) -> list[Column]:
        """The columns in which something is known."""
        return [one for one in self.columns if one.is_known]


def make_table(name: str, about: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> Table:
    """Return a table of rows.

    Parameters
    ----------
    name, about : str
        Of the table.
    columns : mapping of str to str
        Name of each column → what it holds.
    rows : iterable of mapping
        Cells by the names of their columns; one that is not there is not known.
    """
    known = list(rows)
    return Table(
        name=name,
        about=about,
        columns=[
            Column(name=key, about=meaning, cells=[row.get(key) for row in known])
            for key, meaning in columns.items()
        ],
    )


def to_array(cells: Sequence[Any]) -> Any:
    """Return the cells of a column as an array of one type.

    Parameters
    ----------
    cells : sequence
        Where one is a list all are, of as many numbers; None: not known.

    Returns
    -------
    numpy.ndarray or list of str
        bool, int64, or float64 with NaN for what is not known, of lists in two dimensions; else text, empty
        for what is not known.
    """
    numpy = need("numpy", "a table")
    known = [one for one in cells if one is not None]
    if known and all(isinstance(one, list) for one in known):
        nothing = [numpy.nan] * len(known[0])
        return numpy.array([nothing if one is None else one for one in cells], numpy.float64)
    if known and all(isinstance(one, bool) for one in known) and len(known) == len(cells):
        return numpy.array(cells, bool)
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in known):
        is_whole = len(known) == len(cells) and all(isinstance(one, int) for one in known)
        if is_whole and all(-_WHOLE <= one < _WHOLE for one in known):
            return numpy.array(cells, numpy.int64)
        if not any(isinstance(one, int) and abs(one) > 2**53 for one in known):
            return numpy.array([numpy.nan if one is None else one for one in cells], numpy.float64)
    return ["" if one is None else plain(str(one)) for one in cells]
