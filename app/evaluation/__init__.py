"""How well faces are recognised on pictures of known people, and the threshold that follows from it."""

from app.evaluation.calibration import FPIRS, GALLERIES, Calibrated, calibrate, check_request
from app.evaluation.dataset import read_dataset
from app.evaluation.evaluation import Evaluation, evaluate, written
from app.evaluation.histogram import Point
from app.evaluation.identification import Identification
from app.evaluation.pooling import PROBES, Pooling, Rates, identify_pooled
from app.evaluation.sample import Sample, take_sample
from app.evaluation.verification import Verification

__all__ = [
    "FPIRS",
    "GALLERIES",
    "PROBES",
    "Calibrated",
    "Evaluation",
    "Identification",
    "Point",
    "Pooling",
    "Rates",
    "Sample",
    "Verification",
    "calibrate",
    "check_request",
    "evaluate",
    "identify_pooled",
    "read_dataset",
    "take_sample",
    "written",
]
