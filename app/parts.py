"""The parts of a worker, and what each of them is given."""

import socket
from functools import partial
from typing import TYPE_CHECKING, cast

from faust.types import TP
from faust.web.drivers.aiohttp import Web

from app.agents.board import Board
from app.agents.enrol import Enrol
from app.agents.identify import Identify, Past
from app.agents.nets import Nets
from app.agents.recognise import Recognise
from app.history.index import History
from app.history.streams import Streams
from app.kafka.dead_letters import DeadLetters
from app.kafka.delivery import KafkaDelivery
from app.messages import Enrolment, encode
from app.metrics import Metrics
from app.models.chosen import chosen_nets
from app.models.pipeline import load_recogniser
from app.settings import Settings
from app.tables.gallery import Gallery
from app.tables.identities import Identities
from app.topics import Topics, TopicSpec
from app.web.live.hub import Hub
from app.web.live.socket import LiveSocket
from app.web.people import PeopleViews
from app.web.photos import PhotoReader
from app.web.readiness import Readiness
from app.web.sightings import SightingViews
from app.web.site import mount
from app.web.streams import StreamViews
from app.web.worker import WorkerViews

if TYPE_CHECKING:
    import faust

__all__ = ["Parts"]

_DAY = 24 * 3600 * 1000


class Parts:
    """Everything that a worker is made of."""

    def __init__(self, app: "faust.App", settings: Settings) -> None:
        chosen = chosen_nets(settings)
        threshold = chosen.embedder.threshold_or(settings.threshold)
        self.settings = settings
        self.topics = Topics(settings)
        self.metrics = Metrics()
        self.delivery = KafkaDelivery(app)
        self.dead_letters = DeadLetters(self.delivery, self.topics, self.metrics)
        self.nets = Nets(partial(load_recogniser, settings), chosen.found_by, chosen.embedded_by)
        self.gallery = Gallery(chosen.embedded_by, threshold, settings.margin)
        self.identities = Identities(app, self.gallery, self.metrics)
        keep = int(settings.memory_days * _DAY)
        self.history = History(keep)
        self.past = Past(self.history)
        self.streams = Streams(keep)
        self.readiness = Readiness(app, self.nets)
        self._add_agents(app)
        self._add_web(app)

    def on_assigned(self, assigned: set[TP]) -> None:
        """Let go of what other workers have now."""
        frames, faces = self.topics.frames.name, self.topics.faces.name
        self.board.keep({tp.partition for tp in assigned if tp.topic == frames})
        self.identify.keep({tp.partition for tp in assigned if tp.topic == faces})

    def _add_agents(self, app: "faust.App") -> None:
        settings, topics, delivery, dead_letters = (
            self.settings,
            self.topics,
            self.delivery,
            self.dead_letters,
        )
        # Asked for later: the port may come with the command line, which has not been read yet.
        self.board = Board(
            topics, delivery, self.metrics, lambda: f"{socket.gethostname()}:{app.conf.web_port}"
        )
        self.recognise = Recognise(
            settings, topics, self.nets, delivery, dead_letters, self.board, self.metrics
        )
        self.identify = Identify(
            settings, topics, self.gallery, self.past, delivery, dead_letters, self.metrics
        )
        self.enrol = Enrol(self.identities, dead_letters)
        app.agent(_topic(app, topics.frames), name="recognise")(self.recognise.run)
        app.agent(_topic(app, topics.faces), name="identify")(self.identify.run)
        app.agent(_topic(app, topics.enrolments), name="enrol")(self.enrol.run)

    def _add_web(self, app: "faust.App") -> None:
        settings = self.settings
        self.hub = Hub(settings, self.topics, self.streams, self.gallery, self.metrics)
        self.photos = PhotoReader(settings, self.nets)
        views = (
            WorkerViews(self.readiness),
            PeopleViews(settings, self.gallery, self.photos, self._send_enrolment),
            StreamViews(self.streams, self.gallery, self.hub),
            LiveSocket(self.streams, self.hub),
            SightingViews(self.history),
        )
        mount(cast(Web, app.web).web_app, settings, [route for view in views for route in view.routes()])

    async def _send_enrolment(self, enrolment: Enrolment) -> None:
        await self.delivery.send(self.topics.enrolments, enrolment.person.encode(), encode(enrolment))


def _topic(app: "faust.App", spec: TopicSpec) -> "faust.TopicT":
    return app.topic(spec.name, key_type=bytes, value_type=bytes, partitions=spec.partitions)
