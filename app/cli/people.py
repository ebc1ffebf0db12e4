"""`onlooker people`: enrol, list and remove people."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import click
from rich.console import Console
from rich.table import Table

from app.cli.client import Client, ClientError, ask
from app.settings import load_settings

__all__ = ["enrol", "people"]


@click.group()
def people() -> None:
    """Enrol, list and remove people, through a running worker."""


@people.command()
@click.argument("name")
@click.argument(
    "photos", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--id", "person", help="Add the photographs to this person instead of a new one.")
@click.option(
    "--face", type=click.IntRange(0), help="Take the K-th face, counted from 0, of each photograph."
)
def add(name: str, photos: tuple[Path, ...], person: str | None, face: int | None) -> None:
    """Enrol NAME with one or more PHOTOS."""
    answer = ask(_add(name, photos, person, face))
    click.echo(f"{answer['name']} is enrolled as {answer['id']} with {len(answer['photos'])} photograph(s)")


@people.command(name="list")
def show() -> None:
    """List everybody who is enrolled."""
    table = Table("id", "name", "photographs", box=None)
    for person in ask(_list()):
        table.add_row(person["id"], person["name"], str(len(person["photos"])))
    Console(markup=False, emoji=False, highlight=False).print(table)


@people.command()
@click.argument("person", metavar="ID")
def remove(person: str) -> None:
    """Remove the person with this ID."""
    ask(_remove(person))
    click.echo(f"{person} is removed")


async def enrol(client: Client, name: str, photos: tuple[Path, ...], **fields: str) -> dict[str, Any]:
    """Enrol somebody.

    Raises:
        ClientError: the worker refuses; the text says which photograph and why.
    """
    form = aiohttp.FormData({"name": name, **fields})
    for photo in photos:
        form.add_field("photo", photo.read_bytes(), filename=photo.name)
    try:
        return await client.post("/people", form)
    except ClientError as error:
        raise ClientError(_why(error), error.answer) from None


async def _add(name: str, photos: tuple[Path, ...], person: str | None, face: int | None) -> dict[str, Any]:
    wanted = {"id": person, "face": None if face is None else str(face)}
    async with Client(load_settings()) as client:
        return await enrol(
            client, name, photos, **{key: text for key, text in wanted.items() if text is not None}
        )


async def _list() -> list[dict[str, Any]]:
    async with Client(load_settings()) as client:
        found: list[dict[str, Any]] = (await client.get("/people"))["people"]
        return found


async def _remove(person: str) -> None:
    async with Client(load_settings()) as client:
        await client.delete(f"/people/{quote(person, safe='')}")


def _why(error: ClientError) -> str:
    """Say in one line which photographs were refused, and why."""
    refused = [photo for photo in error.answer.get("photos", []) if not photo["ok"]]
    reasons = [
        f"{photo['file']}: {photo['detail']} ({photo['reason']}){_choices(photo)}" for photo in refused
    ]
    return "; ".join(reasons) or str(error)


def _choices(photo: dict[str, Any]) -> str:
    if photo["reason"] != "several-faces":
        return ""
    faces = ", ".join(
        f"{face['index']} at {[round(side) for side in face['box']]}" for face in photo["faces"]
    )
    return f": give --face K, one of {faces}"
