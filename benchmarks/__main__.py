"""Run every benchmark and print figures, ratios and whether each claim holds; exit code 1 if one does not.

``python -m benchmarks offsets starts`` runs these only.
"""

from __future__ import annotations

import asyncio
import platform
import sys
from collections.abc import Callable

from benchmarks import (
    broadcast,
    camera_cost,
    clock_day,
    collect,
    communicate,
    console,
    frame_times,
    imports,
    links,
    offsets,
    pictures,
    reading,
    record,
    request,
    seals,
    starts,
)
from benchmarks.peers import SILENCED

Claim = Callable[..., None]
"""Takes a text, a figure, the most that it may be, and perhaps a unit; prints whether it holds."""


def _clock_day(claim: Claim) -> None:
    print(
        "\nA day of virtual time: a clock that drifts, warms up and jumps twice, as known from lossy bursts"
    )
    clock_day.report(clock_day.measure(), claim)


def _imports(claim: Claim) -> None:
    print("\nStarting Python (median)")
    starts = imports.measure()
    for name, seconds in starts.items():
        print(f"  {name:<30} {seconds * 1e3:6.0f} ms")
    cost = starts["import multirig"] - starts["bare Python"]
    claim("cost of import multirig", cost, imports.CLAIM, "s")


def _request(claim: Claim) -> None:
    print("\nOne request completed, one rig, loopback UDP, two processes (median)")
    one = asyncio.run(request.measure())
    for kind, seconds in one["seconds"].items():
        print(f"  {kind:<18} {seconds * 1e6:8.0f} µs")
    for kind, ratio in one["ratios"].items():
        claim(f"{kind} against a bare asyncio echo", ratio, request.CLAIM)


def _seals(claim: Claim) -> None:
    print("\nThe same request between PCs of a lab, whose links are sealed, and without keys (median)")
    one = asyncio.run(seals.measure_request())
    for kind, seconds in one["seconds"].items():
        print(f"  {kind:<18} {seconds * 1e6:8.0f} µs")
    claim("with keys against without", one["ratio"], seals.REQUEST_CLAIM)
    print("\nClocks, measured by sealed probes and by bare ones (median)")
    clocks = seals.measure_clock()
    for kind, figures in clocks.items():
        print(
            f"  {kind:<8} wrong by {figures['error'] * 1e6:6.2f} µs, bound {figures['bound'] * 1e6:6.2f} µs"
        )
    claim("error with sealed probes", clocks["sealed"]["error"] * 1e6, seals.CLOCK_CLAIM * 1e6, "µs")
    claim("times beyond the bound", clocks["sealed"]["beyond"], 0, "")
    print(f"\n{seals.FLOOD:,} forged datagrams a second: processor time of one, dropped")
    for what, costs in asyncio.run(seals.measure_flood()).items():
        print(
            f"  {what:<24} {costs['multirig'] * 1e6:6.1f} µs, a bare endpoint {costs['bare'] * 1e6:6.1f} µs"
        )
        claim(f"{what} against a bare endpoint", costs["ratio"], seals.FLOOD_CLAIM)


def _communicate(claim: Claim) -> None:
    print(f"\ncommunicate() from the main thread to {communicate.RIGS} rigs in another process")
    calls = communicate.measure()
    for what, seconds in calls.items():
        print(f"  {what:<36} {seconds * 1e3:8.2f} ms")
    ours = calls["multirig rigs, median"]
    claim("multirig rigs, median", ours * 1e3, communicate.CLAIM * 1e3, "ms")
    print(f"         iblrig polls every {communicate.IBLRIG_POLLS * 1e3:g} ms")


def _broadcast(claim: Claim) -> None:
    print(f"\nEXPSTART to {broadcast.RIGS} rigs in another process until every reply is in (median)")
    many = asyncio.run(broadcast.measure())
    for kind, seconds in many["seconds"].items():
        print(f"  {kind:<18} {seconds * 1e3:8.2f} ms, arrivals within {many['spread'][kind] * 1e3:.2f} ms")
    print(f"  start() of a whole session, journal on disk: {many['session_start'] * 1e3:.2f} ms")
    claim("time against iblutil's Services.start", many["ratio_time"]["iblutil"], broadcast.CLAIM_TIME)
    claim("spread of arrivals against iblutil's", many["ratio_spread"]["iblutil"], broadcast.CLAIM_SPREAD)
    for what in ("time", "spread"):
        ratio = many[f"ratio_{what}"][SILENCED]
        print(f"         {what} against iblutil with its log switched off: {ratio:.2f} x")

    print("\nThe same over the number of rigs (multirig, median)")
    for count, seconds in many["growth"].items():
        print(f"  {count:>5} rigs {seconds * 1e3:9.2f} ms  {seconds / count * 1e6:7.0f} µs a rig")


def _offsets(claim: Claim) -> None:
    print("\nThe other computer's clock: errors against the truth, in the middle of a session")
    offsets.report(claim, print)


def _links(claim: Claim) -> None:
    print("\nThe same over bad cables")
    links.report(claim, print)


def _starts(claim: Claim) -> None:
    print(f"\nFirst to last start of {starts.RIGS} rigs with clocks hours apart")
    starts.report(claim, print)


def _pictures(claim: Claim) -> None:
    cameras = f"{len(pictures.CAMERAS)} cameras of {pictures.FPS} frames a second"
    print(f"\nLive pictures, twice a second, of {cameras} that are recorded")
    pictures.report(claim, print)


def _camera_cost(claim: Claim) -> None:
    size = "{} x {}".format(*camera_cost.SIZE)
    print(f"\nA camera of {size} at {camera_cost.FPS} frames a second, from an MJPEG film")
    camera_cost.report(claim, print)


def _frame_times(claim: Claim) -> None:
    print("\nTimes of frames against the truth, with a hiccup of 1.5 s in each recording")
    frame_times.report(claim, print)


def _console(claim: Claim) -> None:
    print(f"\nThe console with {console.RIGS} rigs and {console.BROWSERS} browsers, all on this computer")
    console.report(claim, print)


def _record(claim: Claim) -> None:
    print(f"\nA session of {record.LINES:,} lines afterwards, processor time")
    took = record.measure()
    for what, seconds in took.items():
        print(f"  {what:<40} {seconds:6.2f} s")
    whole, alone = took["account, picture and journal of a page"], took["account"]
    claim("a page against the account alone", whole / alone, record.CLAIM)


def _reading(claim: Claim) -> None:
    frames = reading.HOURS * 3600 * reading.FPS
    print(f"\nA session of {reading.HOURS} h read back: {len(reading.CAMERAS)} cameras of {frames:,} frames")
    reading.report(claim, print)


def _collect(claim: Claim) -> None:
    print("\nA session brought to another folder and proved to be there, on the same disk (median)")
    if not collect.has_rsync():
        print("  rsync is not installed here: there is nothing to compare with")
        return
    for kind, text in (
        ("large", f"{collect.LARGE} files of {collect.LARGE_BYTES >> 20} MiB"),
        ("small", f"{collect.SMALL:,} files of {collect.SMALL_BYTES >> 10} KiB"),
    ):
        took = collect.measure(kind)
        from_disk = took[collect.ON_DISK]
        print(f"  {text:<24} multirig {took['multirig']:6.2f} s, rsync -c and -cn {took['rsync']:6.2f} s")
        print(f"  {'':<24} rsync -c, put on the disk, and -cn from there {from_disk:6.2f} s")
        print(f"  {'':<24} ratio to that: {took[f'ratio, {collect.ON_DISK}']:.2f}")
        claim(f"{text} against rsync", took["ratio"], collect.CLAIMS[kind])


PARTS: dict[str, Callable[[Claim], None]] = {
    "imports": _imports,
    "request": _request,
    "seals": _seals,
    "communicate": _communicate,
    "broadcast": _broadcast,
    "offsets": _offsets,
    "links": _links,
    "starts": _starts,
    "console": _console,
    "pictures": _pictures,
    "camera_cost": _camera_cost,
    "frame_times": _frame_times,
    "record": _record,
    "reading": _reading,
    "collect": _collect,
    "clock_day": _clock_day,
}
"""What can be measured, by the name under which ``python -m benchmarks NAME…`` does it."""


def main(chosen: list[str]) -> int:
    """Measure and print what was chosen, or all."""
    if unknown := set(chosen) - PARTS.keys():
        print(f"there is no benchmark {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
        return 2
    print(f"Python {platform.python_version()} on {platform.system()}, {platform.machine()}")
    held: list[bool] = []

    def claim(text: str, figure: float, limit: float, unit: str = "x") -> None:
        held.append(figure <= limit)
        verdict = "holds " if held[-1] else "FAILS "
        print(f"  {verdict} {text}: {figure:.2f} {unit} (at most {limit:g} {unit})")

    for name in chosen or PARTS:
        PARTS[name](claim)
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
