"""The read models: what the log says of sightings and streams, ready to be asked."""

from app.history.index import Entry, History, HistoryUnavailableError, Query
from app.history.streams import Streams, heard_last, is_live, state_of

__all__ = [
    "Entry",
    "History",
    "HistoryUnavailableError",
    "Query",
    "Streams",
    "heard_last",
    "is_live",
    "state_of",
]
