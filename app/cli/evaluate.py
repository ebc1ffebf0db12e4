"""`onlooker evaluate`: how well the nets recognise the people of a dataset."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from app.cli.sample import sample_options, sampled
from app.evaluation import PROBES, Evaluation, Identification, Point, Pooling, Verification, written
from app.evaluation import evaluate as measure
from app.models.runtime import choose_device

__all__ = ["evaluate"]


def _writable(_: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a file that cannot be made before the work is done, not after."""
    if path is None or str(path) == "-" or path.is_file():
        return path
    if path == Path():
        raise click.BadParameter("expected the name of a file, found nothing", param=parameter)
    if not path.parent.is_dir():
        raise click.BadParameter(f"the folder {path.parent} does not exist", param=parameter)
    if not path.exists():
        try:
            # Tried out: what a folder's mode says is not all, on a disk that is read-only for one.
            tempfile.TemporaryFile(dir=path.parent).close()
        except OSError as error:
            raise click.BadParameter(
                f"the folder {path.parent} cannot be written: {error.strerror}", param=parameter
            ) from None
    return path


def _check_apart(figures: Path | None, picture: Path | None) -> None:
    if figures is not None and picture is not None and figures.resolve() == picture.resolve():
        raise click.UsageError(f"--json and --picture name the same file, {figures}")


@click.command()
@sample_options
@click.option(
    "--json",
    "figures",
    type=click.Path(dir_okay=False, allow_dash=True, writable=True, path_type=Path),
    callback=_writable,
    help="Write the figures to this file; `-` prints them instead of the tables.",
)
@click.option(
    "--picture",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=_writable,
    help="Draw ROC and similarities into this file (PNG).",
)
def evaluate(figures: Path | None, picture: Path | None, **options: Any) -> None:
    """Measure verification and identification on DATASET.

    DATASET is a folder with a folder of pictures for each person; or a folder with `pairs.txt` (as of Labeled
    Faces in the Wild) and the people in `images`; or such a list itself.
    """
    _check_apart(figures, picture)
    settings, sample = sampled(**options)
    evaluation = measure(sample)
    text = json.dumps(written(evaluation, settings), indent=2)
    # First what is read on the spot: a disk that is full by now does not take it away.
    if str(figures) == "-":
        click.echo(text)
    else:
        click.echo(choose_device(settings.device))
        for table in _tables(evaluation):
            Console(markup=False, emoji=False, highlight=False).print(table)
    if figures is not None and str(figures) != "-":
        figures.write_text(text + "\n", encoding="utf-8")
    if picture is not None:
        from app.evaluation.picture import draw

        picture.write_bytes(draw(evaluation))


def _tables(evaluation: Evaluation) -> Iterator[Table | str]:
    sample = evaluation.sample
    yield (
        f"{sample.dataset.name}: {len(sample.dataset.people):,} people, {len(sample.faces):,} pictures,"
        f" {sample.without_face} of them without a face;"
        f" {sample.nets.found_by}, {sample.nets.embedded_by}"
    )
    if evaluation.verification is None:
        yield "no list of pairs: verification is not measured by folds"
    else:
        yield from _verification(evaluation.verification)
    comparisons = evaluation.comparisons
    yield (
        f"\nevery picture with every other: {len(comparisons.genuine):,} comparisons of one person,"
        f" {len(comparisons.impostors):,} of two"
    )
    yield _points(("FMR", "TMR", "false matches"), comparisons.points)
    if evaluation.identification is None:
        yield "nobody has two pictures: identification is not measured"
    else:
        yield from _identification(evaluation.identification)
    if evaluation.pooling is None:
        yield (
            f"nobody has {PROBES + 1} pictures, or nobody has two or {PROBES}: what several of them are worth"
            " together is not measured"
        )
    else:
        yield from _pooling(evaluation.pooling)


def _verification(found: Verification) -> Iterator[Table | str]:
    deviation = "" if found.deviation is None else f" ± {100 * found.deviation:.2f}"
    how = (
        f"{len(found.folds)} folds"
        if len(found.folds) > 1
        else "one fold: threshold chosen on the same pairs"
    )
    yield (
        f"\nverification, {found.pairs:,} pairs ({found.without_face} without a face, counted as wrong):"
        f" accuracy {100 * found.accuracy:.2f} %{deviation} ({how})"
    )
    yield _points(("FAR", "TAR", "false accepts"), found.points)


def _identification(found: Identification) -> Iterator[Table | str]:
    made = f" ({found.strangers_made:,} of them made so)" if found.strangers_made else ""
    yield (
        f"\nidentification, {found.enrolled:,} people enrolled with one picture each"
        f" ({found.not_enrolled} more have no face in it), {found.probes:,} probes of theirs"
        f" ({found.probes_without_face} without a face), {found.strangers:,} strangers{made} with"
        f" {found.stranger_probes:,} pictures ({found.stranger_probes_without_face} without a face):"
        f" rank 1 {100 * found.rank1:.2f} %"
    )
    yield _points(("FPIR", "DIR", "strangers named"), found.points)


def _pooling(found: Pooling) -> Iterator[Table | str]:
    yield (
        f"\npooling, {found.people:,} people searched for by {PROBES} pictures each"
        f" ({found.people_without_face} without a face in any), and {found.strangers:,} strangers by two or"
        f" {PROBES} each ({found.strangers_without_face} without a face in any), {found.enrolled:,} people"
        f" enrolled with another one ({found.not_enrolled} more have no face in it)"
    )
    table = Table()
    points = [f"DIR at FPIR {point.rate:g}" for point in found.single.points]
    for heading in ("searched for by", "rank 1", *points):
        table.add_column(heading, justify="right")
    ways = {
        "one of them, on average": found.single,
        "the best of them": found.best,
        "all in one template": found.pooled,
    }
    for what, rates in ways.items():
        table.add_row(what, f"{100 * rates.rank1:.2f} %", *(_cells(point)[0] for point in rates.points))
    yield table


def _points(headings: tuple[str, str, str], points: Iterable[Point]) -> Table:
    rate, hits, errors = headings
    table = Table()
    for heading in (rate, hits, "threshold", errors):
        table.add_column(heading, justify="right")
    for point in points:
        table.add_row(f"{point.rate:g}", *_cells(point))
    return table


def _cells(point: Point) -> tuple[str, str, str]:
    if point.threshold is None or point.hits is None:
        return "not supported", "", point.why_not or ""
    return (
        f"{100 * point.hits:.2f} %",
        f"{point.threshold:.4f}",
        f"{point.false_accepts:,} of {point.comparisons:,}",
    )
