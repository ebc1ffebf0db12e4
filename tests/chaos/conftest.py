"""The stage of a run, its sizes, and the table that stands at the end."""

import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from chaos.account import Row
from chaos.scenario import Layout
from chaos.stage import Stage
from rich.console import Console
from rich.table import Table
from standin_nets import write_standins

from app.broker import Broker

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "var" / "chaos.json"
#: Characters that the table takes, wherever it is shown.
WIDE = 180

#: Rows by the kind of disruption.
ROWS = pytest.StashKey[dict[str, Row]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="all disruptions, as often as the table says")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try what a module's SIZES says: (in every run of the tests, with --full) by the argument's name."""
    for name, (quick, full) in getattr(metafunc.module, "SIZES", {}).items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, full if is_full(metafunc.config) else quick, ids=_id)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the modules that say LONG, unless they are asked for."""
    if not is_full(config):
        long = [item for item in items if getattr(getattr(item, "module", None), "LONG", False)]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


def is_full(config: pytest.Config) -> bool:
    # Where the tests of everything are run, this file is read too late for the option to be known.
    return bool(config.getoption("--full", default=False))


def _id(value: object) -> str:
    return value.name if isinstance(value, Layout) else str(value)


@pytest.fixture(scope="session")
def standins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Return the settings that choose the stand-in nets."""
    return write_standins(tmp_path_factory.mktemp("standins") / "weights")


@pytest.fixture
def stage(broker: Broker, standins: dict[str, object], layout: Layout, tmp_path: Path) -> Iterator[Stage]:
    """Yield a stage on topics that nobody has read yet."""
    with Stage(broker.url, tmp_path / "stage", layout, standins) as stage:
        yield stage


@pytest.fixture
def settle(pytestconfig: pytest.Config, stage: Stage) -> Callable[[str], None]:
    """Return what settles the account of a run, puts it into the table and fails where it does not agree."""

    def settle(kind: str) -> None:
        account = stage.settle()
        rows = pytestconfig.stash.setdefault(ROWS, {})
        rows.setdefault(kind, Row()).add(account.row)
        account.check()

    return settle


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table, and write down what is in it where all was asked for."""
    rows = {kind: _counts(row) for kind, row in config.stash.get(ROWS, {}).items()}
    if not rows:
        return
    table = Table(title="what was done, and what came of it", header_style="")
    for heading in ("", *next(iter(rows.values()))):
        table.add_column(heading.replace("_", "\n"), justify="right" if heading else "left", no_wrap=True)
    for kind, counts in rows.items():
        table.add_row(kind, *("" if count is None else str(count) for count in counts.values()))
    terminalreporter.ensure_newline()
    Console(width=WIDE).print(table)
    if is_full(config):
        RESULTS.parent.mkdir(exist_ok=True)
        # Of kinds that were not asked for this time, the file keeps what it has.
        before = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(before | rows, indent=2) + "\n", "utf-8")


def _counts(row: Row) -> dict[str, Any]:
    counts = asdict(row)
    takeovers = counts.pop("takeovers")
    counts["takeover_median"] = round(statistics.median(takeovers), 1) if takeovers else None
    counts["takeover_longest"] = round(max(takeovers), 1) if takeovers else None
    return counts
