"""The picture of an evaluation: ROC, and how similar pictures of one person and of two are."""

import warnings
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.evaluation.calibration import RULE
from app.evaluation.evaluation import Evaluation
from app.evaluation.histogram import STEPS, ScoreHistogram

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

#: Steps of a score histogram in one bar of the picture.
_BAR = 200
_GENUINE, _IMPOSTORS, _PAIRS = "#1b6ca8", "#c8553d", "#6a994e"


def draw(evaluation: Evaluation) -> bytes:
    """Return the picture as PNG, 1650 x 720 pixels."""
    # Slow to import, and of use here alone. A Figure of its own needs neither a display nor a state.
    from matplotlib.figure import Figure

    sample = evaluation.sample
    figure = Figure(figsize=(11, 4.8), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_roc(left, evaluation)
    _draw_histogram(right, evaluation)
    nets = sample.nets
    finders = " + ".join(entry.name for entry in (nets.detector, nets.landmarker) if entry)
    figure.suptitle(
        f"{nets.embedder.name} behind {finders} on {sample.dataset.name}:"
        f" {len(sample.dataset.people):,} people, {len(sample.faces):,} pictures",
        parse_math=False,
    )
    png = BytesIO()
    with warnings.catch_warnings():
        # A letter that the font does not have is drawn as a box, which says enough.
        warnings.filterwarnings("ignore", r"Glyph \d+", UserWarning)
        figure.savefig(png, format="png")
    return png.getvalue()


def _draw_roc(axes: "Axes", evaluation: Evaluation) -> None:
    everything, pairs = evaluation.comparisons, evaluation.verification
    curves = [(everything.genuine, everything.impostors, everything.attempts, "all comparisons", _GENUINE)]
    if pairs is not None:
        curves.append((pairs.genuine, pairs.impostors, pairs.attempts, "list of pairs", _PAIRS))
    for genuine, impostors, attempts, label, colour in curves:
        if attempts and len(impostors):
            far, tar = _roc(genuine, impostors, attempts)
            # What rests on few false accepts says little.
            firm = far * len(impostors) >= RULE
            axes.plot(far, tar, color=colour, linestyle=":")
            axes.plot(far[firm], tar[firm], label=f"{label} ({len(impostors):,} of two people)", color=colour)
    if axes.lines:
        axes.set_xscale("log")
        axes.set_xlim(right=1)
    # No accept rate is above 1; a curve that lies there all along still needs an axis.
    axes.set_ylim(min(0.95, axes.get_ylim()[0]), 1.003)
    axes.set_xlabel("false accept rate")
    axes.set_ylabel("true accept rate")
    axes.set_title(f"ROC (dotted: fewer than {RULE} false accepts)")
    axes.grid(visible=True, which="major", alpha=0.3)
    if axes.lines:
        axes.legend(loc="lower right")
    else:
        axes.text(0.5, 0.5, "nothing to compare", transform=axes.transAxes, ha="center")


def _roc(
    genuine: ScoreHistogram, impostors: ScoreHistogram, attempts: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return FAR and TAR at every threshold that still accepts an impostor."""
    accepted = impostors.above()
    some = accepted > 0
    return accepted[some] / len(impostors), genuine.above()[some] / attempts


def _draw_histogram(axes: "Axes", evaluation: Evaluation) -> None:
    everything = evaluation.comparisons
    for histogram, label, colour in (
        (everything.impostors, "two people", _IMPOSTORS),
        (everything.genuine, "one person", _GENUINE),
    ):
        if len(histogram):
            shares = _bars(histogram) / len(histogram)
            axes.stairs(
                shares,
                STEPS[::_BAR],
                label=f"{label} ({len(histogram):,})",
                color=colour,
                fill=True,
                alpha=0.5,
            )
    threshold = evaluation.sample.nets.embedder.threshold
    if threshold is not None:
        axes.axvline(threshold, color="black", linestyle="--", linewidth=1, label=f"threshold {threshold:g}")
    if axes.patches:
        axes.set_yscale("log")
    # Room for the legend above the highest bar.
    axes.set_ylim(top=10)
    axes.set_xlim(_edges(everything.impostors, everything.genuine))
    axes.set_xlabel("cosine similarity")
    axes.set_ylabel("share of comparisons")
    axes.set_title("All comparisons of two pictures")
    axes.grid(visible=True, which="major", alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper center", ncols=2)


def _bars(histogram: ScoreHistogram) -> NDArray[np.int64]:
    """Return the counts of wider bars; what has similarity 1 is in the last one."""
    counts: NDArray[np.int64] = histogram.counts[:-1].reshape(-1, _BAR).sum(axis=1)
    counts[-1] += histogram.counts[-1]
    return counts


def _edges(*histograms: ScoreHistogram) -> tuple[float, float]:
    """Return where the similarities begin, less a bar, and where they can end."""
    counted = np.flatnonzero(sum(histogram.counts for histogram in histograms))
    return (float(STEPS[max(0, counted[0] - _BAR)]) if counted.size else -1.0, 1.0)
