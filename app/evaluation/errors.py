"""What can be wrong with a measurement."""

from app.errors import OnlookerError

__all__ = ["CacheError", "DatasetError", "EvaluationError"]


class EvaluationError(OnlookerError):
    """What was asked for cannot be measured."""


class DatasetError(EvaluationError):
    """A dataset cannot be read; the text names the file and, where there is one, the line."""


class CacheError(EvaluationError):
    """The cache of embeddings cannot be used."""
