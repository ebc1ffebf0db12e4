"""A worker that wants a token tells nothing without it; the command line has it, and asks a real worker."""

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster, Worker, wait_for
from machine import SLOWNESS

from app.broker import Broker
from app.settings import ROOT

TOKEN = "a-long-token-of-one's-own"


@pytest.fixture(scope="module")
def cluster(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(broker.url, tmp_path_factory.mktemp("token"), token=TOKEN) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def worker(cluster: Cluster) -> Worker:
    worker = cluster.worker()
    wait_for("the worker to be ready", lambda: asked(worker, "/readyz", TOKEN)[0] == 200)
    return worker


def asked(worker: Worker, path: str, token: str | None = None) -> tuple[int, dict[str, str]]:
    """Return the status of an answer, 0 where there is none, and its headers."""
    wish = urllib.request.Request(worker.url + path)
    if token:
        wish.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(wish, timeout=30 * SLOWNESS) as answer:
            return answer.status, dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers)
    except OSError:
        return 0, {}


def onlooker(cluster: Cluster, worker: Worker, *arguments: str, **settings: object) -> tuple[int, str, str]:
    """Run the command line, and return its exit code, output and errors."""
    environment, _ = cluster.place("command", web_port=worker.port, **settings)
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", *arguments],
        cwd=ROOT, env=environment | {"COLUMNS": "200"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/people",
        "/streams",
        "/sightings",
        "/events",
        "/live",
        "/metrics",
        "/readyz",
        "/static/announce.js",
    ],
)
def test_nothing_is_told_without_the_token(worker: Worker, path: str) -> None:
    """Faust's own routes are behind the same door as ours."""
    for token in (None, TOKEN[:-1], f"{TOKEN}."):
        status, headers = asked(worker, path, token)
        assert status == 401
        assert "Content-Security-Policy" in headers


@pytest.mark.parametrize("path", ["/", "/people", "/streams", "/sightings", "/metrics"])
def test_who_has_the_token_is_answered(worker: Worker, path: str) -> None:
    status, headers = asked(worker, path, TOKEN)
    assert status == 200
    assert "Content-Security-Policy" in headers


def test_whether_it_runs_may_be_asked_by_anybody(worker: Worker) -> None:
    assert asked(worker, "/healthz")[0] == 200


def test_the_command_line_enrols_lists_and_removes(
    cluster: Cluster, worker: Worker, photographs: Path, tmp_path: Path
) -> None:
    photo = str(photographs / "demo-portraits" / "obama3.jpg")
    code, output, errors = onlooker(cluster, worker, "people", "add", "Barack Obama", photo)
    assert (code, errors) == (0, "")
    person = output.removeprefix("Barack Obama is enrolled as ").removesuffix(" with 1 photograph(s)\n")
    code, output, errors = onlooker(cluster, worker, "people", "list")
    assert (code, errors) == (0, "")
    assert [line.split() for line in output.splitlines()[1:]] == [[person, "Barack", "Obama", "1"]]

    nothing = tmp_path / "nothing.jpg"
    nothing.write_bytes(b"no picture at all")
    code, output, errors = onlooker(cluster, worker, "people", "add", "Nobody", str(nothing))
    assert (code, output) == (2, "")
    assert errors.startswith("onlooker: nothing.jpg: ") and errors.count("\n") == 1

    assert onlooker(cluster, worker, "people", "remove", person) == (0, f"{person} is removed\n", "")
    code, _, errors = onlooker(cluster, worker, "people", "remove", person)
    assert (code, errors) == (2, f"onlooker: nobody with the id {person} is enrolled\n")


def test_the_command_line_tells_of_sightings(cluster: Cluster, worker: Worker, audience: Path) -> None:
    cluster.play(audience, "hall")

    def told() -> list[str]:
        code, output, errors = onlooker(cluster, worker, "sightings", "--stream", "hall")
        assert (code, errors) == (0, "")
        return output.splitlines()

    wait_for("a sighting", lambda: len(told()) > 1)
    assert all("hall" in line for line in told()[1:])


def test_the_command_line_says_that_the_token_is_wrong(cluster: Cluster, worker: Worker) -> None:
    code, output, errors = onlooker(cluster, worker, "people", "list", token="another-token-of-ones-own")
    assert (code, output) == (2, "")
    assert "token" in errors and errors.count("\n") == 1
