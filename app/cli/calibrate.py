"""`onlooker calibrate`: measure thresholds and how sure names are, and let `identify` use them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

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
    EvaluationError,
    FittedConfidence,
    Joining,
    Sample,
    calibrate_pooled,
    check_request,
    fit_confidence,
    join_threshold,
)
from app.evaluation import calibrate as calibrate_single
from app.settings import Settings
from app.weights import Calibration, Evidence, change_local

__all__ = ["calibrate"]

Measured = TypeVar("Measured")
Rows = Iterator[tuple[str, str]]

_SINGLE, _POOLED = "single faces", "several faces in one template"


@dataclass(frozen=True, slots=True)
class _Found:
    """What was measured; of what the dataset cannot give, the reason."""

    single: Calibrated
    pooled: Calibrated | str
    joining: Joining | str
    #: By the name that the catalogue has for it.
    confidence: Mapping[str, FittedConfidence | str]


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

    Of single faces, and of several in one template; from which similarity on two visits are one person's; and
    how likely names are right. DATASET is what `onlooker evaluate` takes. A rate that its pictures cannot
    support for single faces is refused. Else it is said what they cannot support.
    """
    # Before the work, not after it.
    check_request(fpir, gallery)
    settings, sample = sampled(**options)
    found = _measure(sample, fpir, gallery, settings.margin)
    console = Console(markup=False, emoji=False, highlight=False)
    for table in _tables(found, sample, settings):
        console.print(table)
    if dry_run:
        click.echo("nothing was written (--dry-run)")
        return
    name = sample.nets.embedder.name
    change_local(settings.weights_dir, name, _keys(found, sample))
    click.echo(f"the threshold of {name} is {found.single.threshold:g} from the next start of a worker on")
    if isinstance(found.pooled, str):
        click.echo("it counts for several faces in one template too, for which none was written")
    if settings.threshold is not None:
        click.echo(f"but ONLOOKER_THRESHOLD is set, to {settings.threshold:g}: that is what counts")
    click.echo(f"it holds for faces that {_finders(sample)} finds; with another detector, calibrate again")


def _measure(sample: Sample, fpir: float, gallery: int, margin: float) -> _Found:
    faces = sample.faces_of_people
    return _Found(
        calibrate_single(sample.people, fpir, gallery, margin),
        _or_reason(partial(calibrate_pooled, faces, fpir, gallery, margin)),
        _or_reason(partial(join_threshold, faces)),
        {
            "single": _or_reason(partial(fit_confidence, faces, several=False)),
            "pooled": _or_reason(partial(fit_confidence, faces, several=True)),
        },
    )


def _or_reason(measure: Callable[[], Measured]) -> Measured | str:
    try:
        return measure()
    except EvaluationError as error:
        return str(error)


def _finders(sample: Sample) -> str:
    nets = sample.nets
    return " with landmarks of ".join(entry.name for entry in (nets.detector, nets.landmarker) if entry)


def _keys(found: _Found, sample: Sample) -> dict[str, Any]:
    """Return what the catalogue says of the embedder."""
    single, pooled, joining = found.single, found.pooled, found.joining
    calibration = Calibration(
        fpir=single.fpir,
        gallery=single.gallery,
        comparisons=single.comparisons,
        false_matches=single.false_matches,
        identified=single.check.identified if single.check else None,
        pooled=None if isinstance(pooled, str) else _evidence(pooled),
        detector=sample.nets.found_by,
        embedder=sample.nets.embedded_by,
        dataset=sample.dataset.name,
        date=datetime.now(UTC).date().isoformat(),
    )
    # A curve that could not be fitted here is none the worse for it.
    curves = msgspec.to_builtins(sample.nets.embedder.confidence) or {}
    curves |= {kind: one.curve for kind, one in found.confidence.items() if not isinstance(one, str)}
    keys = {
        "threshold": single.threshold,
        "pooled_threshold": None if isinstance(pooled, str) else pooled.threshold,
        "visit_threshold": None if isinstance(joining, str) else joining.threshold,
        "confidence": curves or None,
        "calibration": calibration,
    }
    return dict(_known(msgspec.to_builtins(keys)))


def _evidence(found: Calibrated) -> Evidence:
    return Evidence(found.comparisons, found.false_matches, found.check.identified if found.check else None)


def _known(said: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Leave out what is not known, for which TOML has no word."""
    for key, value in said.items():
        if value is not None:
            yield key, dict(_known(value)) if isinstance(value, dict) else value


def _tables(found: _Found, sample: Sample, settings: Settings) -> Iterator[Table]:
    nets = sample.nets
    yield _table(
        f"{_SINGLE}: {nets.embedded_by} behind {nets.found_by} on {sample.dataset.name}",
        _rows(found.single, settings.margin, nets.embedder.threshold),
    )
    yield _table(_POOLED, _rows(found.pooled, settings.margin, nets.embedder.pooled_threshold))
    yield _table("two visits", _rows_of_visits(found.joining, nets.embedder.visit_threshold))
    for kind, what in (("single", _SINGLE), ("pooled", _POOLED)):
        yield _table(f"confidence of {what}", _rows_of_confidence(found.confidence[kind]))


def _table(title: str, rows: Rows) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    for label, value in rows:
        table.add_row(label, value)
    return table


def _rows(found: Calibrated | str, margin: float, before: float | None) -> Rows:
    yield from [("threshold", f"none: {found}")] if isinstance(found, str) else _rows_of_names(found, margin)
    yield _until_now(before)


def _rows_of_names(found: Calibrated, margin: float) -> Rows:
    yield "threshold", f"{found.threshold:.4f}"
    yield "asked for", f"{found.fpir:g} of strangers named in a gallery of {found.gallery:,} photographs"
    yield "false match rate", f"{found.fmr:.3g}"
    yield "rests on", f"{found.false_matches:,} false matches of {found.comparisons:,} impostor comparisons"
    check = found.check
    if check is None:
        yield "tried out", "no: nobody has two pictures, or there is no stranger with a face"
        return
    chance = "; MORE THAN CHANCE, from a small gallery: try others" if check.beyond_chance else ""
    yield (
        f"tried out with {check.gallery:,} enrolled",
        f"{check.named:,} of {check.searches:,} strangers named: {check.fpir:.4f}"
        f" ({check.expected:.4f} were the comparisons independent){chance}",
    )
    yield "enrolled people identified", f"{100 * check.identified:.2f} %"
    yield f"with a lead of {margin:g} (ONLOOKER_MARGIN)", f"{100 * check.identified_with_margin:.2f} %"


def _rows_of_visits(found: Joining | str, before: float | None) -> Rows:
    label = "are one person's from"
    if isinstance(found, str):
        yield label, f"not measured: {found}"
    else:
        yield label, f"{found.threshold:.4f}, of up to {PROBES} pictures each in one template"
        yield (
            "rests on",
            f"{found.false_matches:,} false matches of {found.comparisons:,} comparisons (FMR {FMR:g})",
        )
        yield "visits of one person joined", f"{100 * found.joined:.2f} % of {found.pairs:,}"
    yield _until_now(before)


def _rows_of_confidence(found: FittedConfidence | str) -> Rows:
    if isinstance(found, str):
        yield "not measured", found
        return
    yield (
        "fitted to",
        f"{found.enrolled:,} probes of people enrolled and {found.strangers:,} of strangers,"
        " as if they came equally often",
    )
    yield (
        "on people whom it was not fitted to",
        f"calibration error {found.reliability.error:.3f}, Brier score {found.reliability.brier:.3f}",
    )
    for share, confidence, right in found.reliability.bins:
        yield f"  {confidence:.2f} on average", f"{100 * right:.1f} % right, of {100 * share:.1f} % of them"


def _until_now(before: float | None) -> tuple[str, str]:
    return "threshold until now", "none" if before is None else f"{before:g}"
