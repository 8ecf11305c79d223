"""``multirig history``: which sessions were recorded, and what each turned out to be."""

from __future__ import annotations

import datetime
import enum
from typing import Annotated, Any

import typer

from multirig.cli import accounts, render
from multirig.cli.collecting import Lab, ask_all, show_backlog, show_parts
from multirig.cli.options import DataFolder, LabName
from multirig.cli.program import app
from multirig.cli.rigs import RigsFile
from multirig.collect.ledger import rebuild_ledger
from multirig.errors import ConfigError
from multirig.logs import keep_log
from multirig.reading.listing import ListedSession, write_csv
from multirig.reading.places import find_subjects
from multirig.record.catalogue import Catalogue
from multirig.wording import listed

DEFAULT_LIMIT = 50
"""Sessions that are listed if nothing else is said: a screen or two."""


class _Wanted(str, enum.Enum):
    """The catalogue's words, as they are typed."""

    GOOD = "good"
    DEGRADED = "degraded"
    INCOMPLETE = "incomplete"
    INTERRUPTED = "interrupted"
    ABORTED = "aborted"
    NOT_OVER = "not-over"
    NO_VERDICT = "no-verdict"

    @property
    def word(self) -> str:
        return self.value.upper().replace("-", " ")


@app.command()
def history(
    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT]...",
            show_default=False,
            help="Words or parts of words that all stand in a session's reference, rigs, task, projects, "
            "reasons or markers.",
        ),
    ] = None,
    subject: Annotated[str, typer.Option("--subject", "-s", help="Its name, or a part of it.")] = "",
    since: Annotated[
        datetime.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="The first day."),
    ] = None,
    until: Annotated[
        datetime.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], metavar="YYYY-MM-DD", help="The last day."),
    ] = None,
    verdict: Annotated[
        _Wanted | None, typer.Option(case_sensitive=False, help="What a session turned out to be.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            show_default=False,
            help=f"How many sessions are listed; without it {DEFAULT_LIMIT}, and all as CSV.",
        ),
    ] = None,
    data: DataFolder = None,
    lab: LabName = None,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Read every session folder again, also where nothing changed.")
    ] = False,
    csv: Annotated[
        bool,
        typer.Option(
            "--csv",
            help="A table for Excel, R or pandas, on standard output, also of which rigs' parts are here.",
        ),
    ] = False,
    where: Annotated[
        bool,
        typer.Option(
            "--where",
            help="Ask all rigs where their data are: on the PC, on the way, collected, cleared.",
        ),
    ] = False,
    rigs_file: RigsFile = None,
    json: Annotated[bool, typer.Option("--json", help="For machines, on standard output.")] = False,
) -> None:
    """List the sessions on this PC, the newest first, and search them."""
    if where:
        _show_where(text or [], Lab.find(data, lab, rigs_file, is_alone=False), limit or DEFAULT_LIMIT)
        return
    if csv and json:
        raise ConfigError("--csv and --json are two forms of one answer: leave one out")
    keep_log("conductor")
    catalogue = Catalogue(lambda: find_subjects(data, lab))
    if rebuild:
        catalogue.rebuild()
        rebuild_ledger(catalogue.roots)
    else:
        catalogue.refresh()
    asked: dict[str, Any] = {
        "subject": subject,
        "since": since.date() if since is not None else None,
        "until": until.date() if until is not None else None,
        "verdict": verdict.word if verdict is not None else None,
        "text": " ".join(text or ()),
    }
    total = catalogue.count(**asked)
    found = catalogue.search(**asked, limit=limit or (total if csv else DEFAULT_LIMIT))
    if csv:
        render.show_text(write_csv(ListedSession(listed=one) for one in found))
        return
    if json:
        render.show_json({"total": total, "sessions": [one.to_json() for one in found]})
        return
    if not found:
        everything = catalogue.count()
        places = listed([str(one) for one in find_subjects(data, lab)])
        render.say(
            f"none of the {everything} sessions in {places} is of that kind: ask for less"
            if everything
            else f"no sessions in {places}: say where they are with --data and --lab"
        )
        return
    accounts.show_sessions(found)
    if total > len(found):
        render.say(f"and {total - len(found)} older ones: --limit {total} lists all, --until goes back")
    place = f" --data {data}" if data is not None else ""
    place += f" --lab {lab}" if lab is not None else ""
    render.say(f"more on one of them: multirig show {found[0].exp_ref}{place}")


def _show_where(text: list[str], labs: Lab, limit: int) -> None:
    """Print where the data of sessions are, whoever has recorded them."""
    parts = ask_all(labs)
    found = [one for one in parts.sessions if all(word.casefold() in str(one).casefold() for word in text)]
    show_parts(parts, found[:limit])
    if not found:
        render.say("no PC that answers has such a session")
    elif len(found) > limit:
        render.say(f"and {len(found) - limit} older ones: --limit {len(found)} lists all")
    show_backlog(parts)
