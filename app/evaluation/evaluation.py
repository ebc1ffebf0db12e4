"""A whole evaluation: everything that is measured on one sample, and what of it is written down."""

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import msgspec

from app.evaluation.comparisons import Comparisons, compare_all
from app.evaluation.fingerprint import library_versions
from app.evaluation.identification import Identification, identify
from app.evaluation.pooling import Pooling, identify_pooled
from app.evaluation.sample import Sample
from app.evaluation.verification import Verification, verify
from app.models.runtime import choose_device
from app.settings import Settings
from app.weights import Entry

__all__ = ["Evaluation", "evaluate", "written"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The measurements; a part is None where the dataset does not allow it."""

    sample: Sample
    verification: Verification | None
    comparisons: Comparisons
    identification: Identification | None
    pooling: Pooling | None


def evaluate(sample: Sample) -> Evaluation:
    """Measure everything that `sample` allows.

    Raises:
        EvaluationError: its pairs have too few faces.
    """
    pairs, people = sample.dataset.pairs, sample.people
    return Evaluation(
        sample,
        verify(pairs, sample.embeddings) if pairs else None,
        compare_all(people),
        identify(people),
        identify_pooled(sample.faces_of_people),
    )


def written(evaluation: Evaluation, settings: Settings) -> dict[str, Any]:
    """Return the figures and what they rest on, for JSON: no faces, no names of people, no paths."""
    sample = evaluation.sample
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "dataset": {
            "name": sample.dataset.name,
            "people": len(sample.dataset.people),
            "images": len(sample.faces),
            "images_without_a_face": sample.without_face,
            "pairs": len(sample.dataset.pairs),
        },
        **{role: _net(entry) for role, entry in sample.nets.by_role.items() if entry},
        "threshold": sample.nets.embedder.threshold,
        "settings": settings.model_dump(
            include={"detection_side", "detection_score", "min_face", "embed_score"}
        ),
        "device": msgspec.to_builtins(choose_device(settings.device)),
        "versions": _versions(),
        "verification": _figures(evaluation.verification),
        "comparisons": _figures(evaluation.comparisons)
        | {
            "genuine": len(evaluation.comparisons.genuine),
            "impostors": len(evaluation.comparisons.impostors),
        },
        "identification": _figures(evaluation.identification),
        "pooling": _figures(evaluation.pooling),
    }


def _net(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "identity": entry.identity,
        "sha256": [file.sha256 for file in entry.files],
    }


def _figures(part: Any) -> Any:
    """Return a part without its histograms."""
    if part is None:
        return None
    figures = {name: getattr(part, name) for name in part.__dataclass_fields__}
    return msgspec.to_builtins(
        {name: value for name, value in figures.items() if name not in {"genuine", "impostors"}}
    )


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), "onlooker": version("onlooker"), **library_versions()}
