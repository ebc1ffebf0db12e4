"""What a run of tests says at its end: functions beside tests, and whether too much was skipped."""

from pathlib import Path

import pytest

__all__ = ["Budget", "shared_data"]

#: Where the originals are: videos, stills, checkpoints and datasets that cannot be published.
ORIGINALS = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


class Budget:
    """Counts what ran, and what did not."""

    def __init__(self, most: int | None, originals: str) -> None:
        self.most = most
        self.originals = originals if ORIGINALS.is_dir() else "none"
        self.tests = self.functions = self.left_out = 0
        #: Reasons of the tests that were skipped.
        self.skipped: list[str] = []

    @property
    def exceeded(self) -> bool:
        """Tell whether more was skipped than may be."""
        return self.most is not None and len(self.skipped) > self.most

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what is tried on the originals, or all else."""
        if self.originals == "all":
            return
        chosen, others = [], []
        for item in items:
            (chosen if wants_originals(item) == (self.originals == "only") else others).append(item)
        items[:] = chosen
        self.left_out = 0 if self.originals == "only" else len(others)
        config.hook.pytest_deselected(items=others)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count what is to run."""
        self.tests = len(session.items)
        self.functions = len({item.nodeid.partition("[")[0] for item in session.items})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note of a test that was skipped."""
        if report.skipped and isinstance(report.longrepr, tuple):
            self.skipped.append(report.longrepr[2])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail a run that skipped too much."""
        if self.exceeded and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what ran and what did not."""
        say = terminalreporter.write_line
        say(f"{self.tests} tests of {self.functions} functions")
        if self.left_out:
            why = "not asked for" if ORIGINALS.is_dir() else "not beside this checkout"
            say(f"{self.left_out} left out: the originals that they are tried on are {why}")
        allowed = "" if self.most is None else f", of {self.most} that may be"
        say(f"{len(self.skipped)} skipped{allowed}", red=self.exceeded)


def wants_originals(item: pytest.Item) -> bool:
    """Tell whether a test is tried on the originals."""
    return (
        "shared_data" in getattr(item, "fixturenames", ()) or item.get_closest_marker("originals") is not None
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    parser.addoption("--most-skips", type=int, help="fail where more tests are skipped")
    how = "whether tests on media and checkpoints that cannot be published run, where these are there"
    parser.addoption("--originals", choices=["all", "none", "only"], default="all", help=how)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count."""
    config.addinivalue_line("markers", "originals: is tried on media or checkpoints that cannot be published")
    budget = Budget(config.getoption("most_skips"), config.getoption("originals"))
    config.pluginmanager.register(budget, "counted")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of the originals; who asks for it is left out where it is not there."""
    return ORIGINALS
