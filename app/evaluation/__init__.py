"""How well faces are recognised on pictures of known people, and the threshold that follows from it."""

from app.evaluation.calibration import (
    FPIRS,
    GALLERIES,
    Calibrated,
    calibrate,
    calibrate_pooled,
    check_request,
)
from app.evaluation.confidence import FittedConfidence, Reliability, fit_confidence
from app.evaluation.dataset import read_dataset
from app.evaluation.errors import EvaluationError
from app.evaluation.evaluation import Evaluation, evaluate, written
from app.evaluation.histogram import Point
from app.evaluation.identification import Identification
from app.evaluation.joining import FMR, Joining, join_threshold
from app.evaluation.pooling import Pooling, Rates, identify_pooled
from app.evaluation.sample import Sample, take_sample
from app.evaluation.verification import Verification
from app.evaluation.visits import PROBES

__all__ = [
    "FMR",
    "FPIRS",
    "GALLERIES",
    "PROBES",
    "Calibrated",
    "Evaluation",
    "EvaluationError",
    "FittedConfidence",
    "Identification",
    "Joining",
    "Point",
    "Pooling",
    "Rates",
    "Reliability",
    "Sample",
    "Verification",
    "calibrate",
    "calibrate_pooled",
    "check_request",
    "evaluate",
    "fit_confidence",
    "identify_pooled",
    "join_threshold",
    "read_dataset",
    "take_sample",
    "written",
]
