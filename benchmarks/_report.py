"""What every benchmark prints: a table for people, and one JSON object as the last line."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

__all__ = ["machine", "report"]


def machine() -> dict[str, str | int]:
    """Return what this machine is: the processor's model and the cores that this process may use."""
    return {"cpu": _cpu_model(), "cores": len(os.sched_getaffinity(0))}


def report(
    name: str,
    value: float,
    goal: float,
    ok: bool,
    unit: str,
    rows: Sequence[Mapping[str, object]],
    measured_on: Mapping[str, object] | None = None,
) -> None:
    """Print `rows` as a table, then the figure as JSON; `measured_on` is put after the machine's own."""
    table = Table(title=name)
    for heading in rows[0] if rows else ():
        table.add_column(heading)
    for row in rows:
        table.add_row(*(str(cell) for cell in row.values()))
    Console().print(table)
    figure = {"name": name, "value": value, "unit": unit, "goal": goal, "ok": ok}
    print(json.dumps(figure | {"measured_on": {**machine(), **(measured_on or {})}}), flush=True)


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())
