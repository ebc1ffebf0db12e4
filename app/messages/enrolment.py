"""What is to be changed about who is enrolled."""

from typing import ClassVar, Literal

import msgspec

from app.messages.coding import Milliseconds, Text, Upgraders
from app.messages.person import Template

__all__ = ["Enrolment"]


class Enrolment(msgspec.Struct, frozen=True, kw_only=True, eq=False, tag_field="v", tag=1):
    """A wish to add templates to a person, or to remove the person."""

    upgraders: ClassVar[Upgraders] = ()

    #: Id of the wish itself.
    id: Text
    action: Literal["add", "remove"]
    person: Text
    #: Their name; None keeps the one that they have.
    name: Text | None
    at: Milliseconds
    templates: list[Template]
    #: The person was enrolled when this was wished: one who was removed since stays removed.
    known: bool = False
