"""Recognition over time, in plain Python and numpy: no Kafka, no nets, no clock."""

from app.tracking.assignment import TELLING
from app.tracking.naming import NamingRules
from app.tracking.pool import pooled
from app.tracking.state import read_state, write_state
from app.tracking.tracklets import Followed, Seen, TrackletRules, TrackletTracker
from app.tracking.visits import Observed, VisitRules, VisitTracker

__all__ = [
    "TELLING",
    "Followed",
    "NamingRules",
    "Observed",
    "Seen",
    "TrackletRules",
    "TrackletTracker",
    "VisitRules",
    "VisitTracker",
    "pooled",
    "read_state",
    "write_state",
]
