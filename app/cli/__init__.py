"""The `onlooker` command: one file for each sub-command, imported only when it is used."""

import sys
from importlib import import_module

import click

from app.errors import OnlookerError

__all__ = ["cli", "main"]

#: Sub-command -> its one line in `onlooker --help`; module and command share the name.
COMMANDS = {
    "up": "Run it all on this machine: broker, topics, workers, a stream.",
    "broker": "Run the embedded Apache Kafka alone.",
    "worker": "Run one worker, as `faust -A app worker` does.",
    "source": "Write a camera, file, folder or the demonstration to a stream.",
    "models": "List, pull and verify the nets.",
    "evaluate": "Measure how well the nets recognise the people of a dataset.",
    "calibrate": "Measure the threshold for a gallery, and use it.",
    "people": "Enrol, list and remove people.",
    "sightings": "List who was seen, where and when.",
    "settings": "Print every setting, its variable, value and meaning.",
}


class _LazyGroup(click.Group):
    """A group that imports a sub-command only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"app.cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Real-time face recognition on a log.

    Every setting is an ONLOOKER_ variable; `onlooker settings` prints them all.
    """


def main() -> None:
    """Run the command line; what a person did wrong is one line and exit code 2."""
    try:
        cli.main(prog_name="onlooker", standalone_mode=False)
    except click.exceptions.Exit as finished:
        sys.exit(finished.exit_code)
    except click.UsageError as error:
        _fail(f"{error.format_message()} (see: {error.ctx.command_path if error.ctx else 'onlooker'} --help)")
    except click.ClickException as error:
        _fail(error.format_message())
    except OnlookerError as error:
        _fail(str(error))
    except OSError as error:
        # A folder that cannot be written, a full disk: what it is and where is all there is to say.
        _fail(f"{error.filename or 'the system refuses'}: {error.strerror or error}")
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)


def _fail(text: str) -> None:
    # Even where what a person wrote has lines.
    click.echo(f"onlooker: {' '.join(text.splitlines())}", err=True)
    sys.exit(2)
