"""The web side of a worker: enrolment, history and events, live pictures, health; who may ask; the page."""

from app.web.events import EventViews
from app.web.health import HealthViews, Readiness
from app.web.people import PeopleViews
from app.web.sightings import SightingViews
from app.web.site import mount
from app.web.streams import StreamViews
from app.web.timelines import TimelineViews

__all__ = [
    "EventViews",
    "HealthViews",
    "PeopleViews",
    "Readiness",
    "SightingViews",
    "StreamViews",
    "TimelineViews",
    "mount",
]
