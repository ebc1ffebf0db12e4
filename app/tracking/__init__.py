"""Recognition over time, in plain Python and numpy: no Kafka, no nets, no clock."""

from app.tracking.state import read_state, write_state
from app.tracking.visits import VisitRules, VisitTracker

__all__ = ["VisitRules", "VisitTracker", "read_state", "write_state"]
