"""The parts of a worker, and what each of them is given."""

import asyncio
import logging
import socket
from functools import partial
from typing import TYPE_CHECKING, cast

from faust.types import TP
from faust.web.drivers.aiohttp import Web

from app.agents.enrol import Enrol
from app.agents.identify import Identify
from app.agents.monitor import Monitor
from app.agents.nets import Nets
from app.agents.partitions import Partitions
from app.agents.recognise import Recognise
from app.history.index import History
from app.history.streams import Streams
from app.kafka.checkpoints import Checkpoints
from app.kafka.consumer import LedgerConsumer
from app.kafka.dead_letters import DeadLetters
from app.kafka.delivery import KafkaDelivery
from app.kafka.intake import Intake
from app.messages import Enrolment, encode
from app.metrics import Metrics
from app.models.chosen import chosen_nets
from app.models.pipeline import load_recogniser
from app.settings import Settings
from app.tables.gallery import Gallery
from app.tables.identities import Identities
from app.topics import Topics, TopicSpec
from app.tracking.visits import VisitRules
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

    from app.application import Onlooker

__all__ = ["Parts"]

_log = logging.getLogger(__name__)

_DAY = 24 * 3600 * 1000
#: Seconds that the last checkpoints may take when partitions are revoked: others wait for them.
_LAST = 5.0
#: How far below the threshold a face is still most likely the person who stands there already.
_DOUBT = 0.6
#: Messages that an agent's queue takes: they wait there while the nets are loaded. A full one holds up the
#: consumer, and with it every other agent; an agent that works says itself when enough of a partition waits.
_QUEUE = 256


class Parts:
    """Everything that a worker is made of."""

    def __init__(self, app: "Onlooker", settings: Settings) -> None:
        chosen = chosen_nets(settings)
        threshold = chosen.embedder.threshold_or(settings.threshold)
        self._app = app
        self.settings = settings
        self.topics = Topics(settings)
        self.metrics = Metrics()
        self.delivery = KafkaDelivery(settings)
        self.dead_letters = DeadLetters(self.delivery, self.topics, self.metrics)
        self.nets = Nets(partial(load_recogniser, settings), chosen.found_by, chosen.embedded_by)
        self.gallery = Gallery(chosen.embedded_by, threshold, settings.margin)
        self.identities = Identities(app, self.gallery, self.metrics)
        keep = int(settings.memory_days * _DAY)
        self.history = History(keep)
        self.streams = Streams(keep)
        self.intake = Intake(app, app.ledger)
        self.partitions = Partitions(
            Checkpoints(settings, self.topics, self.delivery),
            self.dead_letters,
            _visit_rules(settings, threshold),
            self.streams.get,
            self.streams.until_known,
        )
        self.readiness = Readiness(app, self.nets)
        self._add_agents(app)
        self._add_web(app)

    def on_assigned(self, assigned: set[TP]) -> None:
        """Open what is known of the streams that this worker has now."""
        shared = {spec.name for spec in (self.topics.frames, self.topics.recordings, self.topics.faces)}
        self.partitions.assign({tp.partition for tp in assigned if tp.topic in shared})

    async def on_revoked(self) -> None:
        """Finish what is under way, write down what is known if that goes quickly, and let go of it."""
        consumer = cast(LedgerConsumer, self._app.consumer)
        if not consumer.evicted:
            await self.recognise.finish()
            try:
                async with asyncio.timeout(_LAST):
                    await self.publish_statuses()
                    await self.partitions.checkpoint()
                    await consumer.force_commit()
            except TimeoutError:
                _log.warning("the last checkpoints could not be written: what they stand for is done again")
        self.partitions.drop()

    async def publish_statuses(self) -> None:
        """Write how the streams are doing; call it every second."""
        await self.monitor.publish(self.partitions.monitors)

    def _add_agents(self, app: "Onlooker") -> None:
        topics, delivery, letters = self.topics, self.delivery, self.dead_letters
        # Asked for later: the port may come with the command line, which has not been read yet.
        self.monitor = Monitor(
            topics, delivery, self.metrics, lambda: f"{socket.gethostname()}:{app.conf.web_port}"
        )
        self.recognise = Recognise(
            self.settings, topics, self.nets, self.intake, self.partitions, delivery, letters,
            self.monitor, self.metrics,
        )  # fmt: skip
        self.identify = Identify(
            self.settings, topics, self.gallery, self.intake, self.partitions, delivery, letters, self.metrics
        )
        self.enrol = Enrol(self.identities, self.intake, letters)
        for name, spec, run in (
            ("recognise", topics.frames, self.recognise.run),
            ("recognise-recordings", topics.recordings, self.recognise.run_recordings),
            ("identify", topics.faces, self.identify.run),
            ("enrol", topics.enrolments, self.enrol.run),
        ):
            app.agent(_topic(app, spec), name=name)(run)

    def _add_web(self, app: "faust.App") -> None:
        settings = self.settings
        self.hub = Hub(settings, self.topics, self.streams, self.metrics)
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
    return app.topic(spec.name, key_type=bytes, value_type=bytes, partitions=spec.partitions, maxsize=_QUEUE)


def _visit_rules(settings: Settings, threshold: float) -> VisitRules:
    return VisitRules(
        gap=int(settings.sighting_gap * 1000),
        update=int(settings.sighting_update * 1000),
        unknown_frames=settings.unknown_frames,
        doubt=threshold * _DOUBT,
    )
