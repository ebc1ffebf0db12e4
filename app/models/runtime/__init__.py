"""Where and how nets run: the device, the session, and what of a graph is changed for it."""

from app.models.runtime.device import choose_device
from app.models.runtime.session import Runtime, Session

__all__ = ["Runtime", "Session", "choose_device"]
