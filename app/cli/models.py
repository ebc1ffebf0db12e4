"""`onlooker models`: list, pull, verify and import nets."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.progress import console_progress
from app.settings import Settings, load_settings
from app.weights import (
    Catalogue,
    DetectorEntry,
    EmbedderEntry,
    Entry,
    IntegrityError,
    State,
    is_here,
    load_catalogue,
    pull_all,
    state_of,
)

__all__ = ["models"]


@click.group()
def models() -> None:
    """List, pull, verify and import the nets and the demonstration's photographs."""


@models.command("list")
def list_entries() -> None:
    """Print what the catalogue holds, and what of it is here."""
    settings = load_settings()
    table = Table()
    for heading in ("name", "kind", "licence", "size", "threshold", "state"):
        table.add_column(heading, justify="right" if heading == "size" else "left")
    for entry in load_catalogue(settings.weights_dir):
        size = f"{entry.bytes / 1e6:.1f} MB"
        row = (entry.name, entry.kind, escape(_licence(entry)), size, _threshold(entry))
        table.add_row(*row, _state(entry, settings))
    Console().print(table)


@models.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Pull all but what is restricted.")
@click.option("--accept-licence", is_flag=True, help="Pull what is restricted too.")
def pull(names: tuple[str, ...], everything: bool, accept_licence: bool) -> None:
    """Pull the entries NAMES; without any, the nets that the settings name."""
    settings = load_settings()
    folder = settings.weights_dir
    chosen = _chosen(load_catalogue(folder), names or settings.nets, everything)
    restricted = [entry for entry in chosen if entry.restricted and not is_here(entry, folder)]
    if everything and not accept_licence:
        chosen = [entry for entry in chosen if entry not in restricted]
    pull_all(chosen, folder, settings.weights_mirror, console_progress(), accept_licence=accept_licence)
    for entry in restricted:
        verb = "accepted" if accept_licence else "skipped, as --accept-licence is not given"
        click.echo(f"{entry.name}: {entry.licence} ({entry.homepage}): {verb}")
    for entry in chosen:
        click.echo(f"{entry.name}: {_state(entry, settings)}")


@models.command()
@click.argument("names", nargs=-1)
@click.option(
    "--against-mxnet", is_flag=True, help="Run imported nets in MXNet too, and print the differences."
)
def verify(names: tuple[str, ...], against_mxnet: bool) -> None:
    """Compute the digests of the entries NAMES; without any, of the settings' nets and all that is here."""
    settings = load_settings()
    chosen = _chosen(load_catalogue(settings.weights_dir), names, everything=not names)
    _verify_files(chosen, names, settings)
    if against_mxnet:
        _verify_outputs(chosen, names, settings)


def _verify_files(chosen: list[Entry], names: tuple[str, ...], settings: Settings) -> None:
    bad = []
    for entry in chosen:
        states = {file.name: state_of(file, settings.weights_dir) for file in entry.files}
        asked_for = entry.name in (names or settings.nets)
        if not asked_for and set(states.values()) == {State.MISSING}:
            continue
        click.echo(f"{entry.name}: {_summary(set(states.values()))}")
        bad += [f"{name} ({state})" for name, state in states.items() if state is not State.PRESENT]
    if bad:
        raise IntegrityError(f"not as the catalogue has it: {', '.join(bad)}")


def _verify_outputs(chosen: list[Entry], names: tuple[str, ...], settings: Settings) -> None:
    """Print how far the nets that were imported are from MXNet; an error where one is too far."""
    from app.importers.mxnet import LIMIT, compare, is_imported, prepare_oracle

    imported = [entry for entry in chosen if is_imported(entry)]
    for name in names:
        if name not in {entry.name for entry in imported}:
            raise IntegrityError(f"{name} was not imported from MXNet: there is nothing to hold it against")
    if not imported:
        raise IntegrityError("nothing was imported from MXNet: there is nothing to compare")
    oracle = prepare_oracle(settings.data_dir, console_progress())
    bad = []
    for entry in imported:
        for difference in compare(entry, settings.weights_dir, oracle):
            click.echo(f"{entry.name}: {difference.output}: {difference.relative:.1e} of the largest")
            if not difference.relative <= LIMIT:
                bad.append(f"{entry.name}: {difference.output}")
    if bad:
        raise IntegrityError(f"farther from MXNet than {LIMIT:g} of the largest: {', '.join(bad)}")


#: By which a person tells what a net is.
IMPORT_OPTIONS = (
    click.option("--name", help="Name in the catalogue; the file's own when not given."),
    click.option(
        "--kind", type=click.Choice(["detection", "embedding"]), help="Told from the graph if not given."
    ),
    click.option("--colour", type=click.Choice(["RGB", "BGR"]), help="Order of the colours it is fed."),
    click.option("--mean", type=float, help="Taken from every pixel (0-255) first."),
    click.option("--scale", type=float, help="What is left is multiplied by this."),
    click.option("--licence", default="not stated", show_default=True, help="Put down in the catalogue."),
)


def _import_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(IMPORT_OPTIONS):
        command = option(command)
    return command


@models.command("import-mxnet")
@click.argument("prefix", type=click.Path(path_type=Path))
@click.argument("epoch", type=click.IntRange(0))
@_import_options
def import_mxnet(prefix: Path, epoch: int, **options: Any) -> None:
    """Import the MXNet checkpoint PREFIX-symbol.json and PREFIX-EPOCH.params; mxnet is not needed.

    PREFIX1, PREFIX2 and PREFIX3 become one cascade where there is no PREFIX itself.
    """
    from app.importers.mxnet import ImportOptions, import_checkpoint

    _tell(import_checkpoint(prefix, epoch, load_settings().weights_dir, ImportOptions(**options)))


@models.command("import-onnx")
@click.argument("file", type=click.Path(path_type=Path))
@_import_options
@click.option("--architecture", help="How a detector's outputs are read; told from them if not given.")
@click.option(
    "--threshold", type=click.FloatRange(-1, 1), help="Least similarity for a name, if you know it."
)
def import_onnx(file: Path, **options: Any) -> None:
    """Import the net in the ONNX file FILE, as it is: a detector, or an embedder of 112x112 pixels."""
    from app.importers import OnnxImportOptions
    from app.importers import import_onnx as bring

    _tell(bring(file, load_settings().weights_dir, OnnxImportOptions(**options)))


def _tell(entry: Entry) -> None:
    for line in _entry_lines(entry):
        click.echo(line)


def _entry_lines(entry: Entry) -> list[str]:
    """Tell what was imported, and how it is used."""
    from app.models.detection import ARCHITECTURES, finds_landmarks

    files = ", ".join(f"{file.name} ({file.bytes / 1e6:.1f} MB)" for file in entry.files)
    lines = [f"{entry.name}: {entry.kind}, {files}"]
    use = f"use it: ONLOOKER_DETECTOR={entry.name}"
    if isinstance(entry, EmbedderEntry):
        lines.append(f"use it: ONLOOKER_EMBEDDER={entry.name} ({entry.dimension} dimensions)")
        if entry.threshold is None:
            lines.append("no threshold is known yet: run `onlooker calibrate`, or set ONLOOKER_THRESHOLD")
    elif isinstance(entry, DetectorEntry) and entry.architecture not in ARCHITECTURES:
        lines.append("nothing here can read what it puts out, so that it cannot serve as detector")
    elif isinstance(entry, DetectorEntry) and not finds_landmarks(entry, load_settings().weights_dir):
        lines.append(f"{use} ONLOOKER_LANDMARKER=centerface (it finds no landmarks, which faces need)")
    else:
        lines.append(use)
    if isinstance(entry, EmbedderEntry | DetectorEntry):
        fed = entry.input
        lines.append(f"it is fed {fed.colour} pixels as (x - {fed.mean:g}) * {fed.scale:g}")
    return lines


def _licence(entry: Entry) -> str:
    text = f"restricted: {entry.licence}" if entry.restricted else entry.licence
    return f"{text}; {entry.note}" if entry.note else text


def _threshold(entry: Entry) -> str:
    """Return the threshold of an embedder, and whether it was measured here."""
    if not isinstance(entry, EmbedderEntry):
        return ""
    if entry.threshold is None:
        return "none"
    return f"{entry.threshold:g} calibrated" if entry.calibration else f"{entry.threshold:g}"


def _chosen(catalogue: Catalogue, names: Sequence[str], everything: bool) -> list[Entry]:
    return list(catalogue) if everything else [catalogue.get(name) for name in names]


def _state(entry: Entry, settings: Settings) -> str:
    return _summary({state_of(file, settings.weights_dir) for file in entry.files})


def _summary(states: set[State]) -> str:
    """Return the one word for files in these states: any wrong one counts, then any missing one."""
    for state in (State.WRONG, State.MISSING):
        if state in states:
            return str(state) if len(states) == 1 or state is State.WRONG else "incomplete"
    return str(State.PRESENT)
