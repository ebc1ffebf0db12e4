"""Faust's worker and its command line: what is checked and made before a worker starts."""

import asyncio
import logging
import sys
import warnings
from typing import TYPE_CHECKING, Any, NoReturn, cast

import click
import faust
from faust.cli.base import State, cli
from faust.exceptions import AlreadyConfiguredWarning
from faust.types import AppT

from app.errors import OnlookerError
from app.kafka import create_topics
from app.logs import keep_calm
from app.models import prepare_nets
from app.progress import console_progress
from app.settings import is_loopback, private_folder

if TYPE_CHECKING:
    from app.application import Onlooker

__all__ = ["OnlookerWorker", "accept_app_after_command"]


class OnlookerWorker(faust.Worker):
    """Faust's worker, which looks before it leaps."""

    def __init__(self, app: AppT, *args: Any, loop: asyncio.AbstractEventLoop, **kwargs: Any) -> None:
        try:
            _prepare(cast("Onlooker", app), loop)
        except OnlookerError as error:
            _refuse(error)
        super().__init__(app, *args, loop=loop, **kwargs)


def accept_app_after_command() -> None:
    """Let ``-A`` stand after ``worker`` as well as before it: ``faust worker -A app``.

    Faust imports the application that ``-A`` names, wherever it stands, before it parses the
    sub-command; so the application can add the option to it.
    """
    parameters = cli.commands["worker"].params
    if not any(parameter.name == "app" for parameter in parameters):
        parameters.append(click.Option(["--app", "-A"], expose_value=False, callback=_choose_app))


def _choose_app(context: click.Context, _: click.Parameter, value: Any) -> None:
    if value is not None:
        context.ensure_object(State).app = value


def _refuse(error: OnlookerError) -> NoReturn:
    click.echo(f"onlooker: {error}", err=True)
    sys.exit(2)


def _prepare(app: "Onlooker", loop: asyncio.AbstractEventLoop) -> None:
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
    remarks = prepare_nets(settings, console_progress())
    app.cluster = loop.run_until_complete(create_topics(settings, settings.broker_wait))
    for line in remarks:
        # At the level that Faust logs at by default, nothing else would say it.
        click.echo(line, err=True)
    keep_calm("aiokafka")
    # At debug level these write messages, embeddings included, and what photographs say of themselves.
    for name in ("faust.topics", "aiokafka", "PIL"):
        logging.getLogger(name).setLevel(logging.INFO)


def _choose_folder(app: "Onlooker") -> None:
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
