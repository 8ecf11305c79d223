"""Run every benchmark and print figures, ratios and whether each claim holds; exit code 1 if one does not."""

from __future__ import annotations

import asyncio
import platform
import sys

from benchmarks import broadcast, communicate, imports, request


def main() -> int:
    """Measure and print."""
    print(f"Python {platform.python_version()} on {platform.system()}, {platform.machine()}")
    held = []

    def claim(text: str, ratio: float, limit: float) -> None:
        held.append(ratio <= limit)
        print(f"  {'holds ' if held[-1] else 'FAILS '} {text}: {ratio:.2f} x (at most {limit:g} x)")

    print("\nStarting Python (median)")
    starts = imports.measure()
    for name, seconds in starts.items():
        print(f"  {name:<30} {seconds * 1e3:6.0f} ms")
    cost = starts["import multirig"] - starts["bare Python"]
    held.append(cost <= imports.CLAIM)
    verdict = "holds " if held[-1] else "FAILS "
    print(f"  {verdict} cost of import multirig: {cost:.3f} s (at most {imports.CLAIM:g} s)")

    print("\nOne request completed, one rig, loopback UDP, two processes (median)")
    one = asyncio.run(request.measure())
    for kind, seconds in one["seconds"].items():
        print(f"  {kind:<18} {seconds * 1e6:8.0f} µs")
    for kind, ratio in one["ratios"].items():
        claim(f"{kind} against a bare asyncio echo", ratio, request.CLAIM)

    print(f"\ncommunicate() from the main thread to {communicate.RIGS} rigs in another process")
    calls = communicate.measure()
    for what, seconds in calls.items():
        print(f"  {what:<36} {seconds * 1e3:8.2f} ms")
    ours = calls["multirig rigs, median"]
    held.append(ours <= communicate.CLAIM)
    print(
        f"  {'holds ' if held[-1] else 'FAILS '} multirig rigs, median: {ours * 1e3:.2f} ms (at most "
        f"{communicate.CLAIM * 1e3:g} ms; iblrig polls every {communicate.IBLRIG_POLLS * 1e3:g} ms)"
    )

    print(f"\nEXPSTART to {broadcast.RIGS} rigs in another process until every reply is in (median)")
    many = asyncio.run(broadcast.measure())
    for kind, seconds in many["seconds"].items():
        print(f"  {kind:<18} {seconds * 1e3:8.2f} ms, arrivals within {many['spread'][kind] * 1e3:.2f} ms")
    print(f"  start() of a whole session, journal on disk: {many['session_start'] * 1e3:.2f} ms")
    claim("time against iblutil's Services.start", many["ratio_time"]["iblutil"], broadcast.CLAIM_TIME)
    claim("spread of arrivals against iblutil's", many["ratio_spread"]["iblutil"], broadcast.CLAIM_SPREAD)
    for what in ("time", "spread"):
        ratio = many[f"ratio_{what}"][broadcast.SILENCED]
        print(f"         {what} against iblutil with its log switched off: {ratio:.2f} x")

    print("\nThe same over the number of rigs (multirig, median)")
    for count, seconds in many["growth"].items():
        print(f"  {count:>5} rigs {seconds * 1e3:9.2f} ms  {seconds / count * 1e6:7.0f} µs a rig")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
