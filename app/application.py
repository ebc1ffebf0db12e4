"""The composition root: what a worker is made of, and in which order it starts and stops."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import faust
from aiokafka import ConsumerRecord
from faust.sensors.prometheus import setup_prometheus_sensors
from faust.types import TP, AgentT
from faust.types.transports import TransportT
from faust.web.drivers.aiohttp import Web
from mode import Service

from app.agents import Enrol, Identify, Monitor, Partitions, Recognise
from app.enrolment import PhotoReader
from app.errors import OnlookerError
from app.history import History, Streams
from app.kafka import (
    Checkpoints,
    DeadLetters,
    Follower,
    KafkaDelivery,
    Ledger,
    ShutdownDeadline,
    Unreadable,
    broker_credentials,
)
from app.kafka.consumer import LedgerConsumer, LedgerTransport
from app.kafka.intake import Intake
from app.messages import Enrolment, encode
from app.metrics import Metrics
from app.models import Nets, chosen_nets, load_recogniser
from app.search import Confidence
from app.settings import Settings, load_settings
from app.tables import AwaitedTable, Gallery, Identities, PatientTableManager
from app.topics import MAX_MESSAGE_BYTES, Topics, TopicSpec
from app.tracking import NamingRules, TrackletRules, VisitRules
from app.web import (
    EventViews,
    HealthViews,
    PeopleViews,
    Readiness,
    SightingViews,
    StreamViews,
    TimelineViews,
    mount,
)
from app.web.live import Hub, LiveSocket
from app.weights import EmbedderEntry
from app.worker import OnlookerWorker, accept_app_after_command

__all__ = ["Components", "Onlooker", "create_app", "make_app", "tracklet_rules", "visit_rules"]

_log = logging.getLogger(__name__)

_DAY = 24 * 3600 * 1000
#: Seconds between two looks for streams that have gone silent, for states that have changed, for news.
_TICK = 1.0
#: Seconds that the last checkpoints may take when partitions are revoked: others wait for them. And seconds
#: that the last messages may, when a worker ends.
_LAST_CHECKPOINTS, _LAST_MESSAGES = 5.0, 3.0
#: The part of the threshold from which on somebody without a name may be who was there a moment ago.
_DOUBT = 0.6
#: Messages that an agent's queue takes: they wait there while the nets are loaded. A full one holds up the
#: consumer, and with it every other agent; an agent that works says itself when enough of a partition waits.
_QUEUE = 256
#: Bytes that a worker fetches of a partition at once; a larger frame comes whole all the same. What has
#: been fetched is worked through before anything else is: faces must not wait behind seconds of frames.
_FETCH_BYTES = 256 * 1024


class Onlooker(faust.App):
    """A Faust application with what Onlooker needs on it."""

    settings: Settings
    #: Which offsets were handed out, are in work, are done.
    ledger: Ledger
    components: "Components"
    #: How long it waits for Kafka once it is told to end.
    deadline: ShutdownDeadline
    #: Id of the Kafka cluster; known once the topics have been prepared.
    cluster: str = ""

    async def on_start(self) -> None:
        """Start what need not wait for the consumer group."""
        await super().on_start()
        await self.add_runtime_dependency(Services(self, beacon=self.beacon))

    async def on_stop(self) -> None:
        """Finish what is under way while this worker still has its partitions."""
        self.deadline.begin()
        if self.ledger.open_partitions:
            await self.close_state()
        await super().on_stop()

    def open_state(self, assigned: set[TP]) -> None:
        """Open what is known of the streams of these partitions, and of no others."""
        components = self.components
        topics = components.topics
        shared = {spec.name for spec in (topics.frames, topics.recordings, topics.faces)}
        components.partitions.assign({tp.partition for tp in assigned if tp.topic in shared})

    async def close_state(self) -> None:
        """Finish what is under way, write down what is known if that goes quickly, and let go of it."""
        components = self.components
        consumer = cast(LedgerConsumer, self.consumer)
        if not consumer.evicted:
            await components.recognise.finish()
            try:
                async with asyncio.timeout(self.deadline.left(_LAST_CHECKPOINTS)):
                    await components.publish_statuses()
                    await components.partitions.checkpoint()
                    await components.identities.written()
                    await consumer.force_commit()
            except TimeoutError:
                _log.warning("the last checkpoints could not be written: what they stand for is done again")
        components.partitions.drop()
        if components.identities.writing and not self.should_stop:
            # Its producer would go on trying, and could bring back whom the next owner has removed meanwhile.
            await self.crash(OnlookerError("an enrolment could not be written before it was revoked"))

    def _new_transport(self) -> TransportT:
        return LedgerTransport(self.conf.broker_consumer, self)

    async def _on_agent_error(self, agent: AgentT[Any], exc: BaseException) -> None:
        """End the worker: an agent begun again would leave a gap behind that nothing commits past."""
        await super()._on_agent_error(agent, exc)
        await self.crash(exc)


def make_app() -> Onlooker:
    """Make the application from the environment; see `create_app`."""
    return create_app(load_settings())


def create_app(settings: Settings) -> Onlooker:
    """Make the application.

    Raises:
        OnlookerError: a setting cannot be used.
    """
    accept_app_after_command()
    app = Onlooker(settings.app_id, **_configuration(settings))
    app.settings = settings
    app.ledger = Ledger([spec.name for spec in Topics(settings).worked_on])
    app.deadline = ShutdownDeadline()
    components = app.components = Components(app)
    setup_prometheus_sensors(app, registry=components.metrics.registry, name_prefix="faust")

    async def on_partitions_assigned(*arguments: Any, **_: Any) -> None:
        _sender, assigned = arguments
        app.open_state(assigned)

    async def on_partitions_revoked(*arguments: Any, **_: Any) -> None:
        _sender, revoked = arguments
        if revoked:
            await app.close_state()

    app.on_partitions_assigned.connect(on_partitions_assigned)
    app.on_partitions_revoked.connect(on_partitions_revoked)
    return app


def _configuration(settings: Settings) -> dict[str, Any]:
    """Return Faust's settings; the reasons for those that are not its defaults are in docs/design.md."""
    return {
        "broker": settings.broker,
        "broker_credentials": broker_credentials(settings),
        "store": "rocksdb://",
        "Worker": OnlookerWorker,
        "GlobalTable": AwaitedTable,
        "TableManager": PatientTableManager,
        "datadir": settings.data_dir / "workers" / str(settings.web_port),
        "key_serializer": "raw",
        "value_serializer": "raw",
        "topic_disable_leader": True,
        "topic_replication_factor": settings.replication,
        "stream_wait_empty": False,
        "stream_buffer_maxsize": 16,
        "producer_max_request_size": MAX_MESSAGE_BYTES,
        "consumer_max_fetch_size": _FETCH_BYTES,
        "broker_session_timeout": settings.session_timeout,
        "broker_heartbeat_interval": settings.session_timeout / 12,
        "broker_commit_interval": 1.0,
        "broker_max_poll_interval": 300.0,
        "web_bind": settings.web_host,
        "web_host": settings.web_host,
        "web_port": settings.web_port,
        # Faust's own pages would show tables, embeddings and all.
        "web_tables_enabled": False,
        "web_router_enabled": False,
        "web_graph_enabled": False,
        "web_stats_enabled": False,
    }


class Components:
    """Everything that a worker is made of, each made once and given what it needs."""

    def __init__(self, app: Onlooker) -> None:
        self._app = app
        self.settings = settings = app.settings
        chosen = chosen_nets(settings)
        threshold = chosen.embedder.threshold_or(settings.threshold)
        self.topics = Topics(settings)
        self.metrics = Metrics()
        self.delivery = KafkaDelivery(settings)
        self.dead_letters = DeadLetters(self.delivery, self.topics, self.metrics)
        self.nets = Nets(partial(load_recogniser, settings), chosen.found_by, chosen.embedded_by)
        pooled_threshold = chosen.embedder.pooled_threshold_or(settings.threshold)
        self.gallery = Gallery(chosen.embedded_by, threshold, settings.margin, pooled_threshold)
        self.identities = Identities(app, self.gallery, self.metrics)
        keep = int(settings.memory_days * _DAY)
        unreadable = Unreadable(self.metrics)
        self.history = History(keep, partial(unreadable.note, self.topics.sightings.name))
        self.streams = Streams(keep, partial(unreadable.note, self.topics.streams.name))
        self.partitions = Partitions(
            Checkpoints(settings, self.topics, self.delivery),
            self.dead_letters,
            visit_rules(settings, chosen.embedder),
            tracklet_rules(settings),
            self.streams.get,
            self.streams.until_known,
        )
        # Asked for later: the port may come with the command line, which has not been read yet.
        self.monitor = Monitor(
            self.topics, self.delivery, self.metrics, lambda: f"{socket.gethostname()}:{app.conf.web_port}"
        )
        self.readiness = Readiness(app, self.nets)
        self.hub = Hub(settings, self.topics, self.streams, unreadable, self.metrics)
        self.photos = PhotoReader(settings, self.nets)
        self._add_agents()
        self._add_web()

    def _add_agents(self) -> None:
        """Make the agents, and let Faust run each on its topic."""
        app, settings, topics = self._app, self.settings, self.topics
        partitions, delivery, letters = self.partitions, self.delivery, self.dead_letters
        intake = Intake(app, app.ledger)
        self.recognise = Recognise(
            settings, topics, self.nets, intake, partitions, delivery, letters, self.monitor, self.metrics
        )
        self.identify = Identify(
            settings, topics, self.gallery, intake, partitions, delivery, letters, self.metrics
        )
        self.enrol = Enrol(self.identities, intake, letters)
        for name, spec, run in (
            ("recognise", topics.frames, self.recognise.run),
            ("recognise-recordings", topics.recordings, self.recognise.run_recordings),
            ("identify", topics.faces, self.identify.run),
            ("enrol", topics.enrolments, self.enrol.run),
        ):
            app.agent(_topic(app, spec), name=name)(run)

    def _add_web(self) -> None:
        """Mount our routes on Faust's web server."""
        views = (
            HealthViews(self.readiness),
            PeopleViews(self.settings, self.gallery, self.photos, self._send_enrolment),
            StreamViews(self.streams, self.gallery, self.hub),
            LiveSocket(self.streams, self.hub),
            SightingViews(self.history),
            TimelineViews(self.history, self.gallery, self.streams),
            EventViews(self.history),
        )
        server = cast(Web, self._app.web).web_app
        mount(server, self.settings, [route for view in views for route in view.routes()])

    async def publish_statuses(self) -> None:
        """Write how the streams are doing; call it every second."""
        await self.monitor.publish(self.partitions.monitors)

    async def _send_enrolment(self, enrolment: Enrolment) -> None:
        await self.delivery.send(self.topics.enrolments, enrolment.person.encode(), encode(enrolment))


class Services(Service):
    """What a worker does beside its agents: loads the nets, follows the log, writes statuses, checkpoints."""

    def __init__(self, app: Onlooker, **options: Any) -> None:
        super().__init__(**options)
        self._app = app
        self._components = app.components

    async def on_start(self) -> None:
        """Open the history and begin to follow the log; load the nets."""
        components = self._components
        topics, streams, history = components.topics, components.streams, components.history
        folder = Path(self._app.conf.datadir)
        positions = await history.open(
            folder / "history.sqlite", f"{self._app.cluster}/{topics.sightings.name}"
        )
        sightings = Follower(components.settings, topics.sightings, positions, self._remember)
        history.follow(sightings)
        self.add_future(sightings.run())
        statuses = Follower(components.settings, topics.streams, {}, streams.add)
        self.add_future(statuses.run())
        self.add_future(self._know_streams(statuses))
        self.add_future(self._load_nets())
        for work in (
            components.publish_statuses,
            components.identify.close_silent,
            components.partitions.checkpoint,
        ):
            self.add_future(self._every(_TICK, work))

    async def on_stop(self) -> None:
        """Let go of threads, connections and files."""
        await self._components.hub.close()
        self._components.photos.close()
        await self._components.delivery.close(self._app.deadline.left(_LAST_MESSAGES))

    async def on_shutdown(self) -> None:
        """Close the history, when nothing writes to it any more."""
        await self._components.history.close()

    async def _remember(self, records: Sequence[ConsumerRecord]) -> None:
        await self._components.history.add(
            (record.partition, record.offset, record.value) for record in records
        )

    async def _know_streams(self, statuses: Follower) -> None:
        await statuses.caught_up(0)
        self._components.streams.known.set()

    async def _load_nets(self) -> None:
        try:
            await self._components.nets.get()
        except Exception as error:
            await self.crash(error)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while not self.should_stop:
            await asyncio.sleep(seconds)
            await work()


def _topic(app: faust.App, spec: TopicSpec) -> faust.TopicT:
    return app.topic(spec.name, key_type=bytes, value_type=bytes, partitions=spec.partitions, maxsize=_QUEUE)


def tracklet_rules(settings: Settings) -> TrackletRules:
    """Return when the faces of somebody who is followed are embedded."""
    return TrackletRules(
        # Who is not embedded is who was there before, for as long as their visit goes on.
        gap=int(min(settings.tracklet_gap, settings.sighting_gap) * 1000),
        every=settings.embed == "every",
        beat=int(settings.embed_beat * 1000),
        better=settings.embed_better,
    )


def visit_rules(settings: Settings, embedder: EmbedderEntry) -> VisitRules:
    """Return when visits begin, end, are named and published, where faces are embedded by `embedder`."""
    threshold, curves = embedder.threshold_or(settings.threshold), embedder.confidence
    confidence = Confidence(curves.single, curves.pooled) if curves else Confidence()
    return VisitRules(
        gap=int(settings.sighting_gap * 1000),
        update=int(settings.sighting_update * 1000),
        unknown_frames=settings.unknown_frames,
        unknown_quality=settings.unknown_quality,
        naming=NamingRules(
            threshold, embedder.pooled_threshold_or(settings.threshold), settings.margin, confidence
        ),
        # Where nobody has measured, nobody is joined who would not be given the other's name.
        join=threshold if embedder.visit_threshold is None else embedder.visit_threshold,
        doubt=threshold * _DOUBT,
    )
