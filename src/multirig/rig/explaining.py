"""What went wrong in an adapter, in one line."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from multirig.errors import AdapterError
from multirig.rig.adapter import Adapter
from multirig.wording import discreet, one_line


def explain(hook: str, error: Exception, adapter: Adapter) -> str:
    """Return what a hook could not do; of an error that the adapter did not foresee, where it came up too.

    Parameters
    ----------
    hook : str
        What was being done.
    error : Exception
        As it was caught.
    adapter : Adapter
        Whose hook it was: its own line is named, not that of a library which it has called.
    """
    if isinstance(error, AdapterError):
        return _join(f"{hook}: {error.message}")
    frames = traceback.extract_tb(error.__traceback__)
    own = getattr(sys.modules.get(type(adapter).__module__), "__file__", None)
    place = next((one for one in reversed(frames) if one.filename == own), frames[-1])
    where = f"{Path(place.filename).name}, line {place.lineno}: {place.line}"
    return _join(f"{hook}: {type(error).__name__}: {error} ({where}; the rest is in this rig's log)")


def _join(text: str) -> str:
    return discreet(one_line(text))
