"""The tables: enrolled people, on the log and in memory."""

from app.tables.gallery import Gallery
from app.tables.identities import AwaitedTable, Identities
from app.tables.recovery import PatientTableManager

__all__ = ["AwaitedTable", "Gallery", "Identities", "PatientTableManager"]
