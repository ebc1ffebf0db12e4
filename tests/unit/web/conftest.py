"""What tests of the web side share."""

from servers import serve

__all__ = ["serve"]
