"""A worker of a later program, to which people are of version 2: `faust -A tests.later worker`."""

from typing import Any, ClassVar

from app.application import make_app
from app.messages import Person, Upgraders
from app.tables import identities

__all__ = ["app"]


class LaterPerson(Person, frozen=True, kw_only=True, eq=False, tag=2):
    """Somebody who is enrolled, with more to say."""

    upgraders: ClassVar[Upgraders] = (lambda fields: fields | {"note": "from version 1"},)

    note: str = "of version 2"


module: Any = identities
module.Person = LaterPerson

app = make_app()
