"""Runs checks side by side; whatever one of them does, there is an answer in time."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import TypeAlias

from multirig.pc.finding import Finding, Level

LIMIT = 2.0
"""Seconds that a check may take."""

Check: TypeAlias = Callable[[], Iterable[Finding]]

log = logging.getLogger("multirig.pc")


async def run_checks(checks: Mapping[str, Check], limit: float = LIMIT) -> list[Finding]:
    """Run every check in a thread of its own and return what they find, in their order.

    Parameters
    ----------
    checks : mapping of str to callable
        By name; one that raises or takes too long is a warning of that name.
    limit : float
        Seconds for all of them, since they run at once.
    """
    # no pool: one thread that hangs on a dead network drive would keep the program from ending
    results = {name: _run(name, check) for name, check in checks.items()}
    await asyncio.wait([asyncio.wrap_future(one) for one in results.values()], timeout=limit)
    found: list[Finding] = []
    for name, result in results.items():
        if result.done():
            found += result.result()
        else:
            text = f"could not be looked at within {limit:g} s: is its disk or network drive asleep or gone?"
            found.append(Finding(check=name, level=Level.WARNING, text=text))
    return found


def _run(name: str, check: Check) -> Future[list[Finding]]:
    result: Future[list[Finding]] = Future()
    result.set_running_or_notify_cancel()  # nobody who gives up the wait takes the thread's answer away

    def work() -> None:
        try:
            found = list(check())
        except Exception as error:
            log.exception("the check of %s failed", name)
            text = f"could not be looked at: {type(error).__name__}: {error} (details are in the log)"
            found = [Finding(check=name, level=Level.WARNING, text=" ".join(text.split()))]
        result.set_result(found)

    threading.Thread(target=work, name=f"check {name}", daemon=True).start()
    return result
