"""What every benchmark leaves: a table for people, and its figures as JSON in `var/benchmarks`."""

import math
import os
import platform
import signal
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import onnxruntime
from rich.console import Console
from rich.table import Table

from app.settings import ROOT, Settings

__all__ = ["FOLDER", "NOT_RUN", "Figure", "machine", "not_run", "report", "run_alone"]

#: Where the figures are kept, a file for each benchmark.
FOLDER = ROOT / "var" / "benchmarks"

#: Settings that say where a worker runs, and change nothing that is measured.
_PLACES = {"broker", "data_dir", "topic_prefix", "web_port", "weights_dir"}

#: Exit code of a benchmark that lacks what it measures on: neither met nor missed.
NOT_RUN = 3


@dataclass(frozen=True)
class Figure:
    """One figure, which every round has measured; its median is held against the goal.

    what: what it is, as the table of all figures says it.
    values: infinite, or NaN, where a round had nothing to be measured: what never came has no age.
    at_most: the goal is not to be exceeded; else it is to be reached.
    counted: what the rounds are.
    """

    what: str
    unit: str
    goal: float
    values: Sequence[float]
    at_most: bool = False
    counted: str = "rounds"

    @property
    def value(self) -> float:
        """The median of the rounds."""
        # NaN has no place in an order.
        return math.nan if any(map(math.isnan, self.values)) else statistics.median(self.values)

    @property
    def met(self) -> bool:
        """Tell whether the goal is met."""
        if not math.isfinite(self.value):
            return False
        return self.value <= self.goal if self.at_most else self.value >= self.goal

    def told(self) -> dict[str, object]:
        """Return what is kept of it."""
        return {
            "what": self.what,
            "unit": self.unit,
            "goal": self.goal,
            "at_most": self.at_most,
            "value": round(self.value, 4),
            "least": round(min(self.values), 4),
            "most": round(max(self.values), 4),
            "rounds": [round(value, 4) for value in self.values],
            "counted": self.counted,
            "met": self.met,
        }


def report(
    name: str,
    figures: Sequence[Figure],
    rows: Sequence[Mapping[str, object]],
    wrong: Sequence[str] = (),
    settings: Settings | None = None,
    **measured_with: object,
) -> int:
    """Print `rows` as a table and keep the figures; return the exit code.

    Args:
        wrong: what was not as it must be, such as faces that were not found: no figure counts then.
        settings: of the workers; those that are not the defaults stand in the table of all figures.
        measured_with: what else the figures depend on.
    """
    table = Table(title=name)
    for heading in rows[0] if rows else ():
        table.add_column(heading)
    for row in rows:
        table.add_row(*(str(cell) for cell in row.values()))
    console = Console()
    console.print(table)
    for reason in wrong:
        console.print(f"wrong: {reason}", style="red", markup=False)
    ok = not wrong and all(figure.met for figure in figures)
    told = {
        "name": name,
        "ok": ok,
        "wrong": [*wrong],
        "figures": [figure.told() for figure in figures],
        "machine": machine(),
        "settings": _others(settings) if settings else {},
        "measured_with": measured_with,
        "command": " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    # Unlike json, msgspec writes null for what is infinite or no number, which JSON does not know.
    encoded = msgspec.json.encode(told)
    (FOLDER / f"{name}.json").write_bytes(msgspec.json.format(encoded, indent=1) + b"\n")
    print(encoded.decode(), flush=True)
    return 0 if ok else 1


def _others(settings: Settings) -> dict[str, object]:
    """Return the settings that are not the defaults, without those that only say where a run takes place."""
    given = settings.model_dump(mode="json", exclude_defaults=True)
    return {name: value for name, value in given.items() if name not in _PLACES}


def run_alone(work: Callable[[], int], minutes: float) -> int:
    """Run a benchmark without an event loop and return its exit code; what it waits for ends with it.

    Args:
        minutes: it has failed where it takes longer.
    """

    def end(number: int, _: object) -> None:
        late = number == signal.SIGALRM
        print(f"not done within {minutes:g} minutes" if late else "interrupted", file=sys.stderr)
        sys.exit(1)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, end)
    signal.setitimer(signal.ITIMER_REAL, minutes * 60)
    return work()


def not_run(why: str) -> int:
    """Say why there is nothing to measure, and return the exit code."""
    print(f"not run: {why}", file=sys.stderr)
    return NOT_RUN


def machine() -> dict[str, str | int]:
    """Return what this machine is: the processor's model, the cores that this process may use, and more."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


def _cpu_model() -> str:
    try:
        first, _, _ = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")
    except OSError:
        return platform.processor() or platform.machine()
    told = {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())
    }
    if "model name" not in told:
        return platform.machine()
    # Virtual machines name the family of products alone; how nets run depends on which of them it is.
    flags = told.get("flags", "").split()
    vectors = next((name for name in ("avx512f", "avx2") if name in flags), "no AVX2")
    which = f"family {told.get('cpu family', '?')}, model {told.get('model', '?')}, {vectors}"
    return f"{told['model name']} ({which})"
