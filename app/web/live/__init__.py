"""Live pictures: one reader and one rendering of a stream, however many watch."""

from app.web.live.hub import Hub
from app.web.live.socket import LiveSocket

__all__ = ["Hub", "LiveSocket"]
