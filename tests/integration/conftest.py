"""Asynchronous tests: each runs in an event loop of its own, within a limit, and leaves no task behind."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import multirig

LIMIT = 20.0
"""Seconds for one test; a hang shows as a failure and not as a silent machine."""


@pytest.fixture(autouse=True)
def _a_state_of_its_own(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let no test find the sessions of another one, or of this PC's user: each is on a PC of its own."""
    if "dashboard" not in request.path.parts:  # a console there serves a whole module
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        monkeypatch.setenv("MULTIRIG_KEYS", str(tmp_path_factory.mktemp("keys")))


_figures: list[str] = []
"""What was measured, for the end of the run."""


@pytest.fixture
def note() -> Callable[[str], None]:
    """Keep a measured figure for the end of the run."""
    return _figures.append


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _figures:
        terminalreporter.section("measured")
        for line in _figures:
            terminalreporter.write_line(line)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function; enter fixtures that are asynchronous context managers."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    chosen = pyfuncitem.get_closest_marker("limit")
    # a browser is spoken to in one loop, for all tests of a process
    loop: asyncio.AbstractEventLoop | None = getattr(arguments.get("browser"), "loop", None)
    run = asyncio.run if loop is None else loop.run_until_complete
    run(_run(pyfuncitem.obj, arguments, chosen.args[0] if chosen else LIMIT))
    return True


async def _run(test: Callable[..., Any], arguments: Mapping[str, Any], limit: float) -> None:
    escaped: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: escaped.append(context))
    before = asyncio.all_tasks()
    await asyncio.wait_for(_enter_and_run(test, arguments), limit)
    left = {one for one in asyncio.all_tasks() - before if not _belongs_to_browser(one)}
    assert not left, "the test has left tasks behind"
    ours = [one for one in escaped if _concerns_multirig(one.get("exception"))]
    assert not ours, f"an exception of multirig reached the event loop: {ours}"


async def _enter_and_run(test: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for fixture in arguments.values():
            if isinstance(fixture, contextlib.AbstractAsyncContextManager):
                await stack.enter_async_context(fixture)
        await test(**arguments)


def _belongs_to_browser(task: asyncio.Task[Any]) -> bool:
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and "playwright" in code.co_filename


def _concerns_multirig(error: BaseException | None) -> bool:
    trace = error.__traceback__ if error is not None else None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith(multirig.__path__[0]):
            return True
        trace = trace.tb_next
    return False
