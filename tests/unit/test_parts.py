"""The parts of a worker on a Faust application, as far as they go without a broker."""

from pathlib import Path
from typing import Any

import faust.cli.worker  # noqa: F401

from app.application import create_app
from app.settings import ROOT, Settings
from app.topics import Topics


def make(tmp_path: Path) -> Any:
    return create_app(Settings(data_dir=tmp_path, weights_dir=ROOT / "weights", topic_prefix="test."))


async def test_an_agent_that_fails_ends_the_worker(tmp_path: Path) -> None:
    """One begun again would leave a gap behind it, and nothing after the gap would ever be committed."""
    app = make(tmp_path)
    assert sorted(agent.fun.__name__ for agent in app.agents.values()) == ["run"] * 3
    for agent in app.agents.values():
        assert agent._on_error is not None
    await app.agents["recognise"]._on_error(app.agents["recognise"], RuntimeError("no more"))
    assert app.crashed
    assert app.should_stop


def test_the_changelog_of_the_people_is_declared_under_the_name_that_faust_gives_it(tmp_path: Path) -> None:
    app = make(tmp_path)
    declared = Topics(app.settings).identities
    assert app.parts.identities.table.changelog_topic.get_topic_name() == declared.name
    assert app.parts.identities.table.changelog_topic.partitions == declared.partitions
