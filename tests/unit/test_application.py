"""What a worker is made of, as far as that goes without a broker."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust.cli.worker  # noqa: F401
import pytest
from faust.types import TP
from studio import until

from app import application as module
from app.application import Services, create_app
from app.settings import ROOT, Settings
from app.tables.recovery import PatientRecovery
from app.topics import Topics


def make(tmp_path: Path) -> Any:
    return create_app(Settings(data_dir=tmp_path, weights_dir=ROOT / "weights", topic_prefix="test."))


class Revocation:
    """A worker whose partitions are revoked, and what it does then."""

    def __init__(self, app: Any, monkeypatch: pytest.MonkeyPatch, *, evicted: bool = False) -> None:
        self.done: list[str] = []
        #: What takes for ever.
        self.stuck: str | None = None
        self._app = app
        app.consumer = SimpleNamespace(evicted=evicted, force_commit=self._step("commit"))
        monkeypatch.setattr(app.components.recognise, "finish", self._step("finish"))
        monkeypatch.setattr(app.components, "publish_statuses", self._step("statuses"))
        monkeypatch.setattr(app.components.partitions, "checkpoint", self._step("checkpoint"))
        monkeypatch.setattr(app.components.partitions, "drop", lambda: self.done.append("drop"))

    async def run(self) -> list[str]:
        """Return what was done, in order."""
        await self._app.close_state()
        return self.done

    def _step(self, name: str) -> Any:
        async def step() -> None:
            if name == self.stuck:
                await asyncio.Event().wait()
            self.done.append(name)

        return step


async def test_an_agent_that_fails_ends_the_worker(tmp_path: Path) -> None:
    """One begun again would leave a gap behind it, and nothing after the gap would ever be committed."""
    app = make(tmp_path)
    assert {name: agent.fun.__name__ for name, agent in app.agents.items()} == {
        "recognise": "run", "recognise-recordings": "run_recordings", "identify": "run", "enrol": "run",
    }  # fmt: skip
    for agent in app.agents.values():
        assert agent._on_error is not None
    await app.agents["recognise"]._on_error(app.agents["recognise"], RuntimeError("no more"))
    assert app.crashed
    assert app.should_stop


def test_every_topic_that_is_worked_on_is_in_the_ledger_and_has_its_agent(tmp_path: Path) -> None:
    app = make(tmp_path)
    names = {spec.name for spec in Topics(app.settings).worked_on}
    assert app.ledger.topics == names
    assert {agent.channel.get_topic_name() for agent in app.agents.values()} == names


def test_the_changelog_of_the_people_is_declared_under_the_name_that_faust_gives_it(tmp_path: Path) -> None:
    app = make(tmp_path)
    declared = Topics(app.settings).identities
    assert app.components.identities.table.changelog_topic.get_topic_name() == declared.name
    assert app.components.identities.table.changelog_topic.partitions == declared.partitions


def test_what_belongs_to_streams_is_opened_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make(tmp_path)
    opened: list[set[int]] = []
    monkeypatch.setattr(app.components.partitions, "assign", opened.append)
    topics = Topics(app.settings)
    app.open_state(
        {
            *(TP(spec.name, 3) for spec in (topics.frames, topics.recordings, topics.faces)),
            TP(topics.faces.name, 5), TP(topics.enrolments.name, 0), TP(topics.identities.name, 0),
        }
    )  # fmt: skip
    assert opened == [{3, 5}]


async def test_what_is_revoked_is_finished_and_written_down_before_it_is_let_go_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revocation = Revocation(make(tmp_path), monkeypatch)
    assert await revocation.run() == ["finish", "statuses", "checkpoint", "commit", "drop"]


async def test_who_was_thrown_out_writes_nothing_for_others_have_gone_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revocation = Revocation(make(tmp_path), monkeypatch, evicted=True)
    assert await revocation.run() == ["drop"]


@pytest.mark.parametrize("stopping", [False, True])
async def test_who_could_not_write_an_enrolment_before_it_was_revoked_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopping: bool
) -> None:
    """Its producer would write it later: after the next owner may have removed the same person."""
    app = make(tmp_path)
    monkeypatch.setattr(module, "_LAST_CHECKPOINTS", 0.01)
    app.components.identities._written.clear()
    if stopping:
        app._stopped.set()
    assert (await Revocation(app, monkeypatch).run())[-1] == "drop"
    assert bool(app.crashed) is not stopping


@pytest.mark.parametrize("stuck", ["statuses", "checkpoint", "commit"])
async def test_others_do_not_wait_for_ever_for_what_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, stuck: str
) -> None:
    monkeypatch.setattr(module, "_LAST_CHECKPOINTS", 0.01)
    revocation = Revocation(make(tmp_path), monkeypatch)
    revocation.stuck = stuck
    done = await revocation.run()
    assert done[-1] == "drop"
    assert stuck not in done
    assert "is done again" in caplog.text


def test_a_recovery_that_takes_too_long_begins_anew(tmp_path: Path) -> None:
    app = make(tmp_path)
    assert isinstance(app.tables.recovery, PatientRecovery)
    assert app.tables.recovery is app.tables.recovery


@pytest.mark.parametrize(("threshold", "low"), [(0.5, 0.3), (0.4, 0.24)])
def test_a_face_is_in_doubt_from_six_tenths_of_the_threshold_on(
    tmp_path: Path, threshold: float, low: float
) -> None:
    settings = Settings(
        data_dir=tmp_path, weights_dir=ROOT / "weights", threshold=threshold, sighting_gap=2.5
    )
    rules = create_app(settings).components.partitions._rules
    assert (rules.doubt, rules.gap) == (pytest.approx(low), 2500)


async def test_streams_are_known_when_what_is_on_the_log_has_been_read(tmp_path: Path) -> None:
    """A worker that did not wait would count from nothing, and write that over what is there."""
    app = make(tmp_path)
    read = asyncio.Event()
    partitions: list[int] = []

    async def caught_up(partition: int) -> None:
        partitions.append(partition)
        await read.wait()

    follower: Any = SimpleNamespace(caught_up=caught_up)
    knowing = asyncio.create_task(Services(app)._know_streams(follower))
    await until(lambda: partitions == [0])
    assert not app.components.streams.known.is_set()
    read.set()
    await knowing
    assert app.components.streams.known.is_set()
