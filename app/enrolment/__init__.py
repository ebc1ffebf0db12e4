"""From photographs to templates: which face is meant, whether it will do, and why not."""

from app.enrolment.photos import Enrolled, Photo, PhotoReader, examine, judge
from app.enrolment.rules import Face, Reason, Refusal, Rules, choose_face

__all__ = [
    "Enrolled",
    "Face",
    "Photo",
    "PhotoReader",
    "Reason",
    "Refusal",
    "Rules",
    "choose_face",
    "examine",
    "judge",
]
