"""The root of every error that Onlooker raises on purpose."""

__all__ = ["OnlookerError"]


class OnlookerError(Exception):
    """Something a person can act on; its text is one line, written for them."""
