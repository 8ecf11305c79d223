"""Whether the bound of an offset holds on bad cables: lopsided, jittery and lossy ones, through the relay.

A way that takes 5 ms longer than the other hides an error of 2.5 ms, which no exchange of messages can see.
All that can be asked is that the bound says so: the true error is within it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.field import Field
from benchmarks.offsets import CLAIM_BEYOND, reading_error, summarise

SECONDS = 6.0
"""Of readings, on each cable."""
EVERY = 0.1
"""Seconds between two readings."""
TIMES_TOO_WIDE = 2.0
"""Of the half of the shortest round trip that the cable allows, at most: an endless bound always holds."""
OVERHEAD = 1_500_000
"""Nanoseconds that the relay's own waits add at most to a shortest round trip: its timers tick by one ms."""


@dataclass(frozen=True, slots=True)
class Cable:
    """What happens on the way; seconds, the least and the most."""

    name: str
    there: tuple[float, float]
    back: tuple[float, float]
    loss: float = 0.0

    @property
    def hidden(self) -> int:
        """How far an offset must be wrong at the shortest round trip, ns."""
        return round(abs(self.there[0] - self.back[0]) / 2 * 1e9)

    @property
    def half_round_trip(self) -> int:
        """Of the shortest one, ns."""
        return round((self.there[0] + self.back[0]) / 2 * 1e9)


CABLES = (
    Cable("through the relay only", (0.0, 0.0), (0.0, 0.0)),
    Cable("5 ms longer there", (0.005, 0.005), (0.0, 0.0)),
    Cable("5 ms longer back", (0.0, 0.0), (0.005, 0.005)),
    Cable("0 to 4 ms of jitter each way", (0.0, 0.004), (0.0, 0.004)),
    Cable("1 to 9 ms there, 1 to 2 ms back, 10 % lost", (0.001, 0.009), (0.001, 0.002), 0.1),
)


def measure() -> dict[str, Any]:
    """Return figures of both sides on each cable; errors in ns."""
    figures: dict[str, dict[str, dict[str, float]]] = {}
    with Field() as field:
        # on one address for all, probes would find their way past the relay
        for number, cable in enumerate(CABLES if field.has_networks else ()):
            # others on each cable: what was known on the one before would help on this
            rig = field.start("rig", 0, hours=5 + number)
            told = rig.ready()
            relay = field.start("relay", rig.host, told["port"], told["clock_port"])
            port = relay.ready()["port"]
            relay.ask("spoil", there=cable.there, back=cable.back, loss=cable.loss)
            conductor = field.start("conductor", f"udp://{relay.host}:{port}", hours=2)
            conductor.ready()
            figures[cable.name] = _figures(rig, conductor)
            for member in (conductor, relay, rig):
                member.end()
        return {"lacks": field.lacks, "figures": figures}


def _figures(rig: Any, conductor: Any) -> dict[str, dict[str, float]]:
    ahead = rig.ahead - conductor.ahead
    ours: list[tuple[int, int | None]] = []
    theirs: list[tuple[int, int | None]] = []
    conductor.ask("begin")
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        ours.append(reading_error(conductor.ask("read")["rig0"], ahead))
        theirs.append(reading_error(rig.ask("read"), -ahead))
        time.sleep(EVERY)
    conductor.ask("end")
    return {"conductor": summarise(ours), "rig": summarise(theirs)}


def report(claim: Callable[..., None], say: Callable[[str], None]) -> None:
    """Measure, and say what was found and whether it is as claimed."""
    result = measure()
    if not result["figures"]:
        say(f"  not measured: {result['lacks']}")
        return
    for name, sides in result["figures"].items():
        for side, one in sides.items():
            errors = f"median {one['median'] / 1e3:7.1f} µs, p99 {one['p99'] / 1e3:7.1f} µs"
            say(f"  {name:<43} {side:<9} {errors}, bound {one['bound'] / 1e3:7.1f} µs")
    for cable in CABLES:
        sides = result["figures"][cable.name].values()
        beyond = max(one["beyond"] for one in sides)
        claim(f"{cable.name}: errors beyond the bound", beyond, CLAIM_BEYOND, "%")
        if cable.hidden:
            narrowest = min(one["narrowest"] for one in sides)
            claim(f"{cable.name}: what it hides against the narrowest bound", cable.hidden / narrowest, 1.0)
        widest = max(one["bound"] for one in sides)
        least = cable.half_round_trip + OVERHEAD
        claim(f"{cable.name}: bound against half a round trip", widest / least, TIMES_TOO_WIDE)


if __name__ == "__main__":
    print(measure())
