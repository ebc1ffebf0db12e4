"""The read models: what the log says of sightings and streams, ready to be asked."""

from app.history.index import Entry, History, HistoryUnavailableError
from app.history.queries import Cursor, Page, Query
from app.history.streams import Streams, heard_last, is_live, state_of
from app.history.timeline import Bar

__all__ = [
    "Bar",
    "Cursor",
    "Entry",
    "History",
    "HistoryUnavailableError",
    "Page",
    "Query",
    "Streams",
    "heard_last",
    "is_live",
    "state_of",
]
