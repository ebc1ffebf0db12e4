"""What can be wrong with a checkpoint."""

from app.errors import OnlookerError

__all__ = ["CheckpointError", "ShapeError"]


class CheckpointError(OnlookerError):
    """A checkpoint cannot be read or converted; the text names the byte, the array or the node."""


class ShapeError(CheckpointError):
    """A node cannot take what it is given; for an input of another size it might."""
