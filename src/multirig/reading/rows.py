"""A table of plain rows, each an object: to be walked through, looked into by name, or given to pandas."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar, overload

from multirig.reading.packages import need


class Row(Protocol):
    """One row of a table."""

    def to_row(self) -> Mapping[str, Any]:
        """Return its cells by the names of their columns."""


T = TypeVar("T", bound=Row)


class Rows(Sequence[T], Generic[T]):
    """Rows in order.

    Parameters
    ----------
    rows : iterable
        The rows.
    name : callable, optional
        Returns the name of a row, by which it is found: ``rows["left"]``.
    columns : sequence of str
        Names of the columns, for a table without rows.
    """

    def __init__(
        self,
        rows: Iterable[T],
        *,
        name: Callable[[T], str] | None = None,
        columns: Sequence[str] = (),
    ) -> None:
        self._rows = tuple(rows)
        self._name = name
        self._columns = list(columns)

    @overload
    def __getitem__(self, place: int | str) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> Rows[T]: ...

    def __getitem__(self, place: int | str | slice) -> T | Rows[T]:
        if isinstance(place, slice):
            return Rows(self._rows[place], name=self._name, columns=self._columns)
        if not isinstance(place, str):
            return self._rows[place]
        names = [] if self._name is None else list(map(self._name, self._rows))
        if place not in names:
            raise KeyError(f"{place}: there are {', '.join(names) or 'no names here'}")
        if names.count(place) > 1:
            raise KeyError(
                f"{place}: is {names.count(place)} of them: take one by its number, or look at each"
            )
        return self._rows[names.index(place)]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[T]:
        return iter(self._rows)

    def __repr__(self) -> str:
        lines = [f"  {row!r}," for row in self._rows[:10]]
        more = [f"  … {len(self._rows) - 10} more"] if len(self._rows) > 10 else []
        return "\n".join(["[", *lines, *more, "]"])

    def to_pandas(self) -> Any:
        """Return the rows as a table of pandas.

        Returns
        -------
        pandas.DataFrame
            Times of day are in UTC.

        Raises
        ------
        ConfigError
            pandas is not installed.
        """
        pandas = need("pandas", "a table")
        cells = [dict(row.to_row()) for row in self._rows]
        table = pandas.DataFrame(cells, columns=None if cells else self._columns)
        for name in {key for row in cells for key, one in row.items() if isinstance(one, datetime.datetime)}:
            table[name] = pandas.to_datetime(table[name], utc=True)  # summer and winter are two zones else
        return table
