"""The root of every error that Onlooker raises on purpose."""

__all__ = ["OnlookerError", "one_line"]


class OnlookerError(Exception):
    """Something a person can act on; its text is one line, written for them."""


def one_line(error: object) -> str:
    """Return what `error` says as one line of bounded length."""
    return " ".join(str(error).split())[:300]
