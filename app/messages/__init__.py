"""What travels on the log: one file for each message, with its fields, its version and its upgraders.

What the versions mean, and how one is raised, is in `app/messages/coding.py`.
"""

from app.messages.checkpoint import Checkpoint
from app.messages.coding import (
    Array,
    Count,
    Fields,
    Message,
    MessageError,
    Milliseconds,
    Upgraders,
    check_array,
    decode,
    encode,
    stream_name,
    upgrade,
    version,
)
from app.messages.dead_letter import DeadLetter
from app.messages.enrolment import Enrolment
from app.messages.faces import Faces, Gate, Lack
from app.messages.frame import Frame, decode_frame, encode_frame
from app.messages.identifications import Identifications
from app.messages.person import Person, Template
from app.messages.sighting import Change, Sighting, Unnamed
from app.messages.status import StreamStatus

__all__ = [
    "Array",
    "Change",
    "Checkpoint",
    "Count",
    "DeadLetter",
    "Enrolment",
    "Faces",
    "Fields",
    "Frame",
    "Gate",
    "Identifications",
    "Lack",
    "Message",
    "MessageError",
    "Milliseconds",
    "Person",
    "Sighting",
    "StreamStatus",
    "Template",
    "Unnamed",
    "Upgraders",
    "check_array",
    "decode",
    "decode_frame",
    "encode",
    "encode_frame",
    "stream_name",
    "upgrade",
    "version",
]
