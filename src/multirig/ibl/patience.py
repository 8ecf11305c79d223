"""Work that may hang, with an end to the waiting: ONE itself waits without end for a server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


def within(limit: float, work: Callable[[], Any]) -> Any:
    """Do work in a thread that is left alone when it takes too long, which raises TimeoutError."""
    answer: Future[Any] = Future()

    def do() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:  # noqa: BLE001  it is raised where the answer is waited for
            answer.set_exception(error)

    threading.Thread(target=do, name="multirig-alyx", daemon=True).start()
    return answer.result(limit)
