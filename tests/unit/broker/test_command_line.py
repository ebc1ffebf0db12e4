"""`onlooker broker` before there is a broker."""

import io

import pytest
from click.testing import CliRunner
from rich.console import Console

from app.cli import cli
from app.cli.broker import own_port, preparation
from app.settings import Settings


@pytest.mark.parametrize(
    ("address", "port"),
    [
        ("kafka://127.0.0.1:19092", 19092),
        ("kafka://localhost", 9092),
        ("kafka://[::1]:19093", 19093),
        ("kafka://kafka.example:19092", 9092),
    ],
)
def test_the_port_is_that_of_the_settings_if_they_mean_this_machine(address: str, port: int) -> None:
    assert own_port(Settings(broker=address)) == port


def test_without_a_terminal_progress_is_a_line_at_each_end() -> None:
    out = io.StringIO()
    with preparation(Console(file=out)) as report:
        for done in range(46):
            report("fetching", done, 45)
    assert out.getvalue() == "fetching ...\nfetching: done\n"


def test_in_a_terminal_progress_is_a_bar() -> None:
    out = io.StringIO()
    with preparation(Console(file=out, force_terminal=True, width=80)) as report:
        report("fetching", 0, 45)
        report("fetching", 45, 45)
    assert "45/45" in out.getvalue()


def test_in_a_terminal_nothing_to_do_shows_nothing() -> None:
    out = io.StringIO()
    with preparation(Console(file=out, force_terminal=True)):
        pass
    assert out.getvalue() == ""


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    result = CliRunner().invoke(cli, ["broker", "--port", port])
    assert result.exit_code == 2
    assert "--port" in result.output
