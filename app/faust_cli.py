"""Faust's command line, as this project's user wrote it down: ``faust worker -A app``."""

from typing import Any

import click
from faust.cli.base import State, cli

__all__ = ["accept_app_after_command"]


def accept_app_after_command() -> None:
    """Let ``-A`` stand after ``worker`` as well as before it.

    Faust imports the application that ``-A`` names, wherever it stands, before it parses the
    sub-command; so the application can add the option to it.
    """
    parameters = cli.commands["worker"].params
    if not any(parameter.name == "app" for parameter in parameters):
        parameters.append(click.Option(["--app", "-A"], expose_value=False, callback=_choose_app))


def _choose_app(context: click.Context, _: click.Parameter, value: Any) -> None:
    if value is not None:
        context.ensure_object(State).app = value
