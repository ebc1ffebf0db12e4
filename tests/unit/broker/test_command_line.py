"""`onlooker broker` before there is a broker."""

import pytest
from click.testing import CliRunner

from app.cli import cli
from app.cli.broker import own_port
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


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    result = CliRunner().invoke(cli, ["broker", "--port", port])
    assert result.exit_code == 2
    assert "--port" in result.output
