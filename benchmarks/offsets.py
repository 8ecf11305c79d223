"""How far multirig's idea of another computer's clock is from the truth, and LSL's between the same two.

Both are asked in turn, four times a second, in the middle of a session: what would a time stamp be turned
into now? The truth is exact: the two computers differ by what their time namespaces were given.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from statistics import median
from typing import Any

from benchmarks.field import Field, all_cores_loaded

SECONDS = 24.0
"""Of readings, idle and again with all cores loaded."""
EVERY = 0.25
"""Seconds between two readings of each."""
CLAIM_ERROR = 0.25
"""Of LSL's median error, at most."""
CLAIM_BEYOND = 1.0
"""Percent of readings whose true error is beyond the bound that was told with them, at most."""
LSL = "LSL time_correction"


def measure() -> dict[str, Any]:
    """Return figures of each way to know the other clock, idle and loaded; errors in ns."""
    with Field() as field:
        rig = field.start("rig", 0, hours=5)
        uri = f"udp://{rig.host}:{rig.ready()['port']}"
        conductor = field.start("conductor", uri, hours=2)
        conductor.ready()
        ahead = rig.ahead - conductor.ahead
        readers: dict[str, Callable[[], tuple[int, int | None]]] = {
            "conductor's map of the rig": lambda: reading_error(conductor.ask("read")["rig0"], ahead),
            "rig's map of the conductor": lambda: reading_error(rig.ask("read"), -ahead),
        }
        absent = _lsl_absent()
        if absent is None:
            outlet = field.start("outlet", beside=rig)
            their = outlet.ready()
            inlet = field.start("inlet", beside=conductor)
            lsl_ahead = ahead + their["lsl"] - inlet.ready()["lsl"]
            readers[LSL] = lambda: reading_error(inlet.ask("read"), lsl_ahead)
        conductor.ask("begin")
        figures = {}
        for name, load in (("idle", nullcontext), ("loaded", all_cores_loaded)):
            with ExitStack() as loaded:
                loaded.enter_context(load())
                figures[name] = _figures(readers)
        conductor.ask("end")
        return {"lacks": field.lacks, "absent": absent, "figures": figures}


def _lsl_absent() -> str | None:
    """Return why LSL cannot be measured, in one line; None if it can."""
    try:
        import pylsl  # noqa: F401
    except (ImportError, RuntimeError) as error:  # it is not there, or its library is not
        reason = str(error).split("\n")[0]
        return (
            f"LSL was not measured ({reason}): pip install 'multirig[bench]', and liblsl where pip has none"
        )
    return None


def _figures(readers: dict[str, Callable[[], tuple[int, int | None]]]) -> dict[str, dict[str, float]]:
    found: dict[str, list[tuple[int, int | None]]] = {name: [] for name in readers}
    time.sleep(5.0)  # each has measured in these circumstances
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        for name, read in readers.items():
            found[name].append(read())
        time.sleep(EVERY)
    return {name: summarise(samples) for name, samples in found.items()}


def summarise(samples: list[tuple[int, int | None]]) -> dict[str, float]:
    """Return what a list of errors and bounds amounts to; ns, and shares."""
    errors = sorted(error for error, _ in samples)
    figures = {"median": median(errors), "p99": percentile(errors, 99), "readings": len(errors)}
    bounds = [bound for _, bound in samples if bound is not None]
    if bounds:
        within = sum(bound is not None and error <= bound for error, bound in samples)
        figures |= {
            "bound": median(bounds),
            "narrowest": min(bounds),
            "beyond": 100 * (1 - within / len(samples)),
        }
    return figures


def percentile(ascending: list[Any], percent: int) -> Any:
    """Return the least value that so many percent do not exceed."""
    return ascending[-(-len(ascending) * percent // 100) - 1]


def reading_error(reading: dict[str, int] | None, truth: int) -> tuple[int, int | None]:
    """Return how far a reading is from the truth, and how far it says it may be."""
    if reading is None:
        raise RuntimeError("the other clock was not measured")
    return abs(reading["offset"] - truth), reading.get("bound")


def report(claim: Callable[..., None], say: Callable[[str], None]) -> None:
    """Measure, and say what was found and whether it is as claimed."""
    result = measure()
    for line in (result["lacks"], result["absent"]):
        if line is not None:
            say(f"  {line}")
    for state, figures in result["figures"].items():
        for name, one in figures.items():
            told = f", bound {one['bound'] / 1e3:7.2f} µs" if "bound" in one else ""
            errors = f"median {one['median'] / 1e3:7.2f} µs, p99 {one['p99'] / 1e3:8.2f} µs"
            say(f"  {state:<7} {name:<28} {errors}{told}")
    for state, figures in result["figures"].items():
        theirs = figures.pop(LSL, None)
        for name, one in figures.items():
            if theirs is not None:
                claim(
                    f"{state}, {name}: median error against LSL's",
                    one["median"] / theirs["median"],
                    CLAIM_ERROR,
                )
            claim(f"{state}, {name}: errors beyond the bound", one["beyond"], CLAIM_BEYOND, "%")


if __name__ == "__main__":
    print(measure())
