"""Whose face is it? The exact search of templates, and the decision about what it finds."""

from app.search.confidence import Confidence, Curve
from app.search.decision import Match, decide
from app.search.index import Index, Nearest, compare, settled

__all__ = ["Confidence", "Curve", "Index", "Match", "Nearest", "compare", "decide", "settled"]
