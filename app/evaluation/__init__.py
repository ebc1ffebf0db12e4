"""How well faces are recognised on pictures of known people, and the threshold that follows from it."""

from app.evaluation.calibration import FPIRS, GALLERIES, Calibrated, calibrate, check_request
from app.evaluation.confidence import Learnt, Trial, learn_confidence
from app.evaluation.dataset import read_dataset
from app.evaluation.evaluation import Evaluation, evaluate, written
from app.evaluation.histogram import Point
from app.evaluation.identification import Identification
from app.evaluation.joining import FMR, Joining, join_threshold
from app.evaluation.pooling import PROBES, Pooling, Rates, identify_pooled
from app.evaluation.sample import Sample, take_sample
from app.evaluation.verification import Verification

__all__ = [
    "FMR",
    "FPIRS",
    "GALLERIES",
    "PROBES",
    "Calibrated",
    "Evaluation",
    "Identification",
    "Joining",
    "Learnt",
    "Point",
    "Pooling",
    "Rates",
    "Sample",
    "Trial",
    "Verification",
    "calibrate",
    "check_request",
    "evaluate",
    "identify_pooled",
    "join_threshold",
    "learn_confidence",
    "read_dataset",
    "take_sample",
    "written",
]
