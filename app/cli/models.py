"""`onlooker models`: list, pull and verify what the catalogue holds."""

import click
from rich.console import Console
from rich.table import Table

from app.models.catalogue import Catalogue, Entry, load_catalogue
from app.models.fetch import IntegrityError, State, pull_all, state_of
from app.models.report import console_report
from app.settings import Settings, load_settings

__all__ = ["models"]


@click.group()
def models() -> None:
    """List, pull and verify the nets and the demonstration's photographs."""


@models.command("list")
def list_entries() -> None:
    """Print what the catalogue holds, and what of it is here."""
    settings = load_settings()
    table = Table()
    for heading in ("name", "kind", "licence", "size", "state"):
        table.add_column(heading, justify="right" if heading == "size" else "left")
    for entry in load_catalogue(settings.weights_dir):
        licence = f"{entry.licence}; {entry.note}" if entry.note else entry.licence
        size = f"{entry.bytes / 1e6:.1f} MB"
        table.add_row(entry.name, entry.kind, licence, size, _state(entry, settings))
    Console().print(table)


@models.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Pull every entry of the catalogue.")
def pull(names: tuple[str, ...], everything: bool) -> None:
    """Pull the entries NAMES; without any, the nets that the settings name."""
    settings = load_settings()
    catalogue = load_catalogue(settings.weights_dir)
    chosen = _chosen(catalogue, names or (settings.detector, settings.embedder), everything)
    pull_all(chosen, settings.weights_dir, settings.weights_mirror, console_report())
    for entry in chosen:
        click.echo(f"{entry.name}: {_state(entry, settings)}")


@models.command()
@click.argument("names", nargs=-1)
def verify(names: tuple[str, ...]) -> None:
    """Compute the digests of the entries NAMES; without any, of the settings' nets and all that is here."""
    settings = load_settings()
    catalogue = load_catalogue(settings.weights_dir)
    bad = []
    for entry in _chosen(catalogue, names, everything=not names):
        states = {file.name: state_of(file, settings.weights_dir) for file in entry.files}
        asked_for = entry.name in (names or (settings.detector, settings.embedder))
        if not asked_for and set(states.values()) == {State.MISSING}:
            continue
        click.echo(f"{entry.name}: {_summary(set(states.values()))}")
        bad += [f"{name} ({state})" for name, state in states.items() if state is not State.PRESENT]
    if bad:
        raise IntegrityError(f"not as the catalogue has it: {', '.join(bad)}")


def _chosen(catalogue: Catalogue, names: tuple[str, ...], everything: bool) -> list[Entry]:
    return list(catalogue) if everything else [catalogue.get(name) for name in names]


def _state(entry: Entry, settings: Settings) -> str:
    return _summary({state_of(file, settings.weights_dir) for file in entry.files})


def _summary(states: set[State]) -> str:
    """Return the one word for files in these states: any wrong one counts, then any missing one."""
    for state in (State.WRONG, State.MISSING):
        if state in states:
            return str(state) if len(states) == 1 or state is State.WRONG else "incomplete"
    return str(State.PRESENT)
