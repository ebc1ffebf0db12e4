"""`onlooker calibrate`: measure the threshold for a gallery, and let `identify` use it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from app.cli.sample import sample_options, sampled
from app.evaluation import (
    FMR,
    FPIRS,
    GALLERIES,
    PROBES,
    Calibrated,
    Joining,
    Learnt,
    Sample,
    check_request,
    join_threshold,
    learn_confidence,
)
from app.evaluation import calibrate as measure
from app.settings import Settings
from app.weights import Calibration, change_local

__all__ = ["calibrate"]


_KINDS = {"single": "single faces", "pooled": f"{PROBES} faces in one template"}


@click.command()
@sample_options
@click.option(
    "--fpir",
    type=click.FloatRange(*FPIRS, max_open=True),
    required=True,
    help="The share of strangers who may be given a name, 0.01 for one in a hundred.",
)
@click.option(
    "--gallery", type=click.IntRange(*GALLERIES), required=True, help="How many photographs are enrolled."
)
@click.option("--dry-run", is_flag=True, help="Print what was measured, and write nothing.")
def calibrate(fpir: float, gallery: int, dry_run: bool, **options: Any) -> None:
    """Measure on DATASET at which similarity a face may be named, and write it into the local catalogue.

    DATASET is what `onlooker evaluate` takes. A rate that its pictures cannot support is refused.
    """
    # Before the work, not after it.
    check_request(fpir, gallery)
    settings, sample = sampled(**options)
    found = measure(sample.people, fpir, gallery, settings.margin)
    faces = sample.faces_of_people
    joining = join_threshold(faces)
    learnt = {kind: learn_confidence(faces, pools=kind == "pooled") for kind in ("single", "pooled")}
    console = Console(markup=False, emoji=False, highlight=False)
    console.print(_table(found, sample, settings))
    console.print(_visits(joining, learnt))
    if dry_run:
        click.echo("nothing was written (--dry-run)")
        return
    name = sample.nets.embedder.name
    change_local(settings.weights_dir, name, _keys(found, sample) | _keys_of_visits(joining, learnt))
    click.echo(f"the threshold of {name} is {found.threshold:g} from the next start of a worker on")
    if settings.threshold is not None:
        click.echo(f"but ONLOOKER_THRESHOLD is set, to {settings.threshold:g}: that is what counts")
    click.echo(f"it holds for faces that {_finders(sample)} finds; with another detector, calibrate again")


def _finders(sample: Sample) -> str:
    nets = sample.nets
    return " with landmarks of ".join(entry.name for entry in (nets.detector, nets.landmarker) if entry)


def _keys(found: Calibrated, sample: Sample) -> dict[str, Any]:
    """Return what the catalogue says of the embedder."""
    calibration = Calibration(
        fpir=found.fpir,
        gallery=found.gallery,
        comparisons=found.comparisons,
        false_matches=found.false_matches,
        identified=found.check.identified if found.check else None,
        detector=sample.nets.found_by,
        embedder=sample.nets.embedded_by,
        dataset=sample.dataset.name,
        date=datetime.now(UTC).date().isoformat(),
    )
    said = msgspec.to_builtins(calibration)
    # TOML has no word for what is not known.
    known = {key: value for key, value in said.items() if value is not None}
    return {"threshold": found.threshold, "calibration": known}


def _keys_of_visits(joining: Joining | None, learnt: Mapping[str, Learnt | None]) -> dict[str, Any]:
    """Return what the catalogue says of visits and of confidence, as far as the dataset could tell."""
    curves = {kind: list(one.curve) for kind, one in learnt.items() if one is not None}
    said: dict[str, Any] = {"confidence": curves} if curves else {}
    return said if joining is None else said | {"visit_threshold": joining.threshold}


def _visits(joining: Joining | None, learnt: Mapping[str, Learnt | None]) -> Table:
    """Tell from which similarity on two visits are joined, and how sure names are."""
    table = Table(title="visits and names", title_justify="left", show_header=False)
    for label, value in _rows_of_visits(joining):
        table.add_row(label, value)
    for kind, one in learnt.items():
        table.add_row(f"confidence of {_KINDS[kind]}", _learnt(one))
    return table


def _rows_of_visits(found: Joining | None) -> list[tuple[str, str]]:
    label = "two visits are one from"
    if found is None:
        return [(label, "not measured: too few people with two pictures that tell who they are")]
    return [
        (label, f"{found.threshold:.4f}, of up to {PROBES} pictures each in one template"),
        (
            "rests on",
            f"{found.false_matches:,} false matches of {found.comparisons:,} comparisons: one in {1 / FMR:g}",
        ),
        ("visits of one person joined", f"{100 * found.joined:.2f} % of {found.pairs:,}"),
    ]


def _learnt(one: Learnt | None) -> str:
    if one is None:
        return "not learnt: too few people with pictures enough are enrolled, or are strangers"
    return (
        f"learnt from {one.enrolled:,} probes of people enrolled, {one.strangers:,} of strangers; on others"
        f" off by {one.trial.error:.3f} on average (Brier score {one.trial.brier:.3f})"
    )


def _table(found: Calibrated, sample: Sample, settings: Settings) -> Table:
    table = Table(
        title=f"{sample.nets.embedded_by} behind {sample.nets.found_by} on {sample.dataset.name}",
        title_justify="left",
        show_header=False,
    )
    for label, value in _rows(found, settings.margin):
        table.add_row(label, value)
    before = sample.nets.embedder.threshold
    table.add_row("threshold until now", "none" if before is None else f"{before:g}")
    return table


def _rows(found: Calibrated, margin: float) -> list[tuple[str, str]]:
    rows = [
        ("threshold", f"{found.threshold:.4f}"),
        ("asked for", f"{found.fpir:g} of strangers named in a gallery of {found.gallery:,} photographs"),
        ("false match rate", f"{found.fmr:.3g}"),
        ("rests on", f"{found.false_matches:,} false matches of {found.comparisons:,} impostor comparisons"),
    ]
    check = found.check
    if check is None:
        return [*rows, ("tried out", "no: nobody has two pictures, or there is no stranger with a face")]
    chance = "; MORE THAN CHANCE, from a small gallery: try others" if check.beyond_chance else ""
    return [
        *rows,
        (
            f"tried out with {check.gallery:,} enrolled",
            f"{check.named:,} of {check.searches:,} strangers named: {check.fpir:.4f}"
            f" ({check.expected:.4f} were the comparisons independent){chance}",
        ),
        ("enrolled people identified", f"{100 * check.identified:.2f} %"),
        (
            f"with a lead of {margin:g} (ONLOOKER_MARGIN)",
            f"{100 * check.identified_with_margin:.2f} %",
        ),
    ]
