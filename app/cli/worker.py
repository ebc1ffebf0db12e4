"""`onlooker worker`: one worker, which is Faust's own command."""

import os
import sys

import click

__all__ = ["worker"]


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True}, add_help_option=False
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def worker(arguments: tuple[str, ...]) -> None:
    """Run one worker; every option is Faust's."""
    # In its place, not below it: signals and exit codes are Faust's as well.
    os.execv(sys.executable, [sys.executable, "-m", "faust", "-A", "app", "worker", *arguments])  # noqa: S606
