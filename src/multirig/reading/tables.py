"""Tables of a session as pandas has them: CSV, or a JSON object a line."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from multirig.errors import ConfigError
from multirig.errors import why_not as say_why
from multirig.reading.packages import need
from multirig.rig.inspection import CLOCK_COLUMN, read_first_field

SESSION_COLUMN = "session_time_s"
"""Of tables whose rows are on the session clock already: markers, pulses, readings of clocks."""
LINES = (".jsonl", ".jsonable")
NO_TIME = "why_no_time"
"""Key in the attributes of a table whose times are on a clock that is not known."""
TIME = "t"
"""Name of the index: seconds from the agreed start."""


def read_table(
    path: Path, zero: float | None, to_session: Callable[[Any], Any] | None, why_not: str = ""
) -> Any:
    """Return a table, with the session's time as its index where it has one.

    Parameters
    ----------
    path : pathlib.Path
        The file; a last line that a crash has torn is left out.
    zero : float or None
        What the session's times count from; None: nobody knows.
    to_session : callable or None
        Returns times that its rig has stamped in seconds from there; None: its clock is not known.
    why_not : str
        Why it is not known.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    ConfigError
        It cannot be read, or is no table.
    """
    numpy, pandas = need("numpy", "a table"), need("pandas", "a table")
    suffix = path.suffix.lower()
    if suffix not in (".csv", *LINES):
        raise ConfigError(
            f"{path}: is no table that is read here (.csv, {', '.join(LINES)}): .times() gives times of "
            "frames, .locate() the path of any file"
        )
    whole = _read_whole(path)
    if suffix in LINES:
        return pandas.DataFrame(_read_lines(whole, path))
    if not whole.strip():
        return pandas.DataFrame()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            # else rows with one cell more than the heading would give their first column away as index
            table = pandas.read_csv(io.BytesIO(whole), encoding="utf-8-sig", index_col=False)
    except pandas.errors.ParserWarning:
        raise ConfigError(
            f"{path}: cannot be read as a table: its rows have more cells than its heading: give the heading "
            "a name for each column"
        ) from None
    except (ValueError, pandas.errors.ParserError) as error:
        text = " ".join(str(error).split())
        raise ConfigError(f"{path}: cannot be read as a table: {text}") from None
    first = table.columns[0] if len(table.columns) else None
    if zero is not None and first == SESSION_COLUMN:
        table.index = pandas.Index(_to_numbers(table[first], path) - zero, name=TIME)
    elif first == CLOCK_COLUMN and to_session is None:
        table.attrs[NO_TIME] = why_not
    elif first == CLOCK_COLUMN and to_session is not None:
        own = _to_numbers(table[first], path)
        is_told = numpy.isfinite(own)
        own[is_told] = to_session(own[is_told])
        table.index = pandas.Index(numpy.where(is_told, own, numpy.nan), name=TIME)
    elif zero is not None and SESSION_COLUMN in table.columns:
        table.index = pandas.Index(_to_numbers(table[SESSION_COLUMN], path) - zero, name=TIME)
    return table


def read_clock_column(path: Path) -> Any:
    """Return the times that a rig's own clock has stamped in a table; None: it has no such column.

    Raises
    ------
    ConfigError
        It cannot be read.
    """
    numpy = need("numpy", "times")
    whole = _read_whole(path)
    heading, _, rows = whole.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
    if path.suffix.lower() != ".csv" or read_first_field(heading) != CLOCK_COLUMN:
        return None
    if not rows.strip():
        return numpy.empty(0)
    options = {"delimiter": ",", "usecols": 0, "comments": None, "quotechar": '"', "encoding": "utf-8"}
    try:
        return numpy.loadtxt(io.BytesIO(rows), numpy.float64, ndmin=1, **options)
    except ValueError as error:
        text = " ".join(str(error).split())
        raise ConfigError(f"{path}: {CLOCK_COLUMN} holds what is no number: {text}") from None


def _read_whole(path: Path) -> bytes:
    """Return a file without what stands behind its last line: a crash has torn that."""
    try:
        whole = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({say_why(error)})") from None
    return whole[: whole.rfind(b"\n") + 1]


def _to_numbers(column: Any, path: Path) -> Any:
    numpy = need("numpy", "a table")
    try:
        return column.to_numpy(numpy.float64, copy=True)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path}: {column.name} holds what is no number: {error}") from None


def _read_lines(whole: bytes, path: Path) -> list[Any]:
    rows = []
    for number, line in enumerate(whole.splitlines(), 1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise ConfigError(f"{path}, line {number}: {error}: take it out and try again") from None
    return rows
