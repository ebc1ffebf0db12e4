"""`onlooker sightings`: who was seen, where and when."""

import json
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from app.cli.client import Client, ask
from app.settings import load_settings

__all__ = ["sightings"]

#: The most that a worker gives at once.
_PAGE = 1000
_FLAGS = {None: None, True: "true", False: "false"}


@click.command()
@click.option("--person", help="Id of a person, or `unknown`.")
@click.option("--named/--unnamed", default=None, help="Those with a name, or those without, alone.")
@click.option("--stream", help="Name of a stream.")
@click.option("--from", "since", help="Seen at or after this time (ISO 8601, or milliseconds).")
@click.option("--to", "until", help="Seen at or before this time.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="Most to list.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def sightings(
    person: str | None,
    named: bool | None,
    stream: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List who was seen, newest first, as a running worker knows it."""
    wanted = {"person": person, "named": _FLAGS[named], "stream": stream, "from": since, "to": until}
    found = ask(_find({key: text for key, text in wanted.items() if text}, limit))
    if as_json:
        for sighting in found:
            click.echo(json.dumps(sighting))
    else:
        Console(markup=False, emoji=False, highlight=False).print(_table(found))


async def _find(query: dict[str, str], limit: int) -> list[dict[str, Any]]:
    """Ask page by page, until there are as many as wanted, or no more."""
    found: list[dict[str, Any]] = []
    async with Client(load_settings()) as client:
        while len(found) < limit:
            page = await client.get("/sightings", **query, limit=str(min(limit - len(found), _PAGE)))
            found += page["sightings"]
            if (cursor := page.get("next")) is None:
                break
            query = query | {"cursor": cursor}
    return found


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table("who", "stream", "first", "last", "frames", "similarity", box=None)
    for sighting in found:
        last = "now" if sighting["open"] else _clock(sighting["last"])
        score = "" if sighting["score"] is None else f"{sighting['score']:.2f}"
        row = (sighting["stream"], _clock(sighting["first"]), last, str(sighting["frames"]), score)
        table.add_row(sighting["name"] or "unknown", *row)
    return table


def _clock(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S")
