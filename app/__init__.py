"""Onlooker: real-time face recognition on a log.

``app.app`` is the Faust application (``faust -A app worker``). It is made when it is first asked for,
so that the parts that need no Faust can be imported without it.
"""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.application import Onlooker

    app: Onlooker

__all__ = ["app"]


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from app.errors import OnlookerError

    try:
        from app.application import make_app

        globals()["app"] = made = make_app()
    except OnlookerError as error:
        # Faust asks for it, and would show a traceback.
        print(f"onlooker: {error}", file=sys.stderr)
        sys.exit(2)
    return made
