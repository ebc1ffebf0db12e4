"""The Faust application, and what is checked and made before it starts."""

import asyncio
import logging
import sys
import warnings
from pathlib import Path
from typing import Any, NoReturn, cast

import click
import faust
from faust.exceptions import AlreadyConfiguredWarning
from faust.sensors.prometheus import setup_prometheus_sensors
from faust.types import TP, AgentT, AppT
from faust.types.transports import TransportT

from app.background import Background
from app.errors import OnlookerError
from app.faust_cli import accept_app_after_command
from app.kafka.admin import create_topics
from app.kafka.clients import broker_credentials
from app.kafka.consumer import LedgerTransport
from app.kafka.ledger import Ledger
from app.logs import keep_calm
from app.models.chosen import prepare_nets
from app.models.report import console_report
from app.parts import Parts
from app.settings import Settings, is_loopback, load_settings, private_folder
from app.tables.identities import AwaitedTable
from app.topics import MAX_MESSAGE_BYTES, Topics

__all__ = ["Onlooker", "create_app", "make_app"]


#: Bytes that a worker fetches of a partition at once; a larger frame comes whole all the same. What has
#: been fetched is worked through before anything else is: faces must not wait behind seconds of frames.
_FETCH_BYTES = 256 * 1024


class Onlooker(faust.App):
    """A Faust application with the parts of Onlooker on it."""

    #: What it was told, what it has read, and what it is made of.
    settings: Settings
    ledger: Ledger
    parts: Parts
    #: Id of the Kafka cluster; known once the topics have been prepared.
    cluster: str = ""

    async def on_start(self) -> None:
        """Start what need not wait for the consumer group."""
        await super().on_start()
        await self.add_runtime_dependency(Background(self.parts, self._place, beacon=self.beacon))

    async def on_stop(self) -> None:
        """Finish what is under way while this worker still has its partitions."""
        if self.ledger.open_partitions:
            await self.parts.on_revoked()
        await super().on_stop()

    def open_state(self, assigned: set[TP]) -> None:
        """Open what is known of the streams of these partitions, and of no others."""
        self.parts.on_assigned(assigned)

    def _new_transport(self) -> TransportT:
        return LedgerTransport(self.conf.broker_consumer, self)

    async def _on_agent_error(self, agent: AgentT[Any], exc: BaseException) -> None:
        """End the worker: an agent begun again would leave a gap behind that nothing commits past."""
        await super()._on_agent_error(agent, exc)
        await self.crash(exc)

    def _place(self) -> tuple[Path, str]:
        return Path(self.conf.datadir), self.cluster


class OnlookerWorker(faust.Worker):
    """Faust's worker, which looks before it leaps."""

    def __init__(self, app: AppT, *args: Any, loop: asyncio.AbstractEventLoop, **kwargs: Any) -> None:
        try:
            _prepare(cast(Onlooker, app), loop)
        except OnlookerError as error:
            _refuse(error)
        super().__init__(app, *args, loop=loop, **kwargs)


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
    parts = app.parts = Parts(app, settings)
    setup_prometheus_sensors(app, registry=parts.metrics.registry, name_prefix="faust")

    async def on_partitions_assigned(*arguments: Any, **_: Any) -> None:
        _sender, assigned = arguments
        app.open_state(assigned)

    async def on_partitions_revoked(*arguments: Any, **_: Any) -> None:
        _sender, revoked = arguments
        if revoked:
            await parts.on_revoked()

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


def _choose_folder(app: Onlooker) -> None:
    """Give each worker of a machine a folder of its own, named after its port."""
    workers = app.settings.data_dir / "workers"
    chosen = workers / str(app.conf.web_port)
    if app.conf.datadir.parent == workers and app.conf.datadir != chosen:
        with warnings.catch_warnings():
            # Faust has only shown it so far; the port may have come with the command line since.
            warnings.simplefilter("ignore", AlreadyConfiguredWarning)
            app.conf.datadir = chosen
    private_folder(app.settings)
    try:
        app.conf.datadir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OnlookerError(f"cannot write to {app.conf.datadir}: {error.strerror}") from None


def _refuse(error: OnlookerError) -> NoReturn:
    click.echo(f"onlooker: {error}", err=True)
    sys.exit(2)


def _prepare(app: Onlooker, loop: asyncio.AbstractEventLoop) -> None:
    """Check and make what a worker needs before it starts.

    Raises:
        OnlookerError: the web server would be open to others without a token; a folder, a net, a device or a
            topic cannot be had; Kafka does not let us in.
    """
    settings, bind = app.settings, str(app.conf.web_bind)
    # Nobody has set logging up yet, and Python would write aiokafka's every failed attempt to standard error.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    if app.conf.web_enabled and not settings.token and not is_loopback(bind):
        raise OnlookerError(f"listening on {bind} lets others in: set ONLOOKER_TOKEN, or use 127.0.0.1")
    _choose_folder(app)
    remarks = prepare_nets(settings, console_report())
    app.cluster = loop.run_until_complete(create_topics(settings, settings.broker_wait))
    for line in remarks:
        # At the level that Faust logs at by default, nothing else would say it.
        click.echo(line, err=True)
    keep_calm("aiokafka")
    # At debug level these write messages, embeddings included, and what photographs say of themselves.
    for name in ("faust.topics", "aiokafka", "PIL"):
        logging.getLogger(name).setLevel(logging.INFO)
