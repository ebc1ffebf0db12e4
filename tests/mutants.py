"""Break the code on purpose, one place at a time, and see whether a test notices.

    python tests/mutants.py [PART ...] [--share 0.3] [--jobs 2]

wants `pip install .[mutants]`: cosmic-ray, which makes the breaks and runs the tests. Works on copies of the
checkout; prints each break that no test noticed, and how many were, for each part. Exit code 1 where fewer
than nine of ten were.
"""

import argparse
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import tomli_w
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

ROOT = Path(__file__).resolve().parent.parent
GOAL = 0.9

#: Part -> what is broken, and the quickest tests that are to notice.
PARTS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "search": (["app/search"], ["tests/unit/search"]),
    "tracking": (["app/tracking"], ["tests/unit/tracking", "tests/unit/messages/test_golden.py"]),
    "access": (["app/web/access.py"], ["tests/unit/web/test_access.py"]),
    "ledger": (["app/kafka/ledger.py"], ["tests/unit/kafka/test_ledger.py"]),
    "messages": (["app/messages"], ["tests/unit/messages"]),
}

#: Breaks that are not made: in annotations (`A | None`), and of an operator more than one or two others say.
LEFT_OUT = [
    r"core/ReplaceBinaryOperator_BitOr_.*",
    r"core/ReplaceBinaryOperator_\w+_(Pow|RShift|LShift|BitXor|BitAnd|BitOr|Mod|FloorDiv)",
    r"core/ReplaceBinaryOperator_(Add|Sub)_(Mul|Div)",
    r"core/ReplaceBinaryOperator_(Mul|Div)_(Add)",
    r"core/ReplaceUnaryOperator_USub_(Not|Invert)",
    r"core/ReplaceComparisonOperator_(Eq|NotEq|Lt|LtE|Gt|GtE)_(Is|IsNot)",
    r"core/ReplaceComparisonOperator_(Eq_(?!NotEq)|NotEq_(?!Eq)).*",
    r"core/ReplaceComparisonOperator_(Lt|LtE|Gt|GtE)_(Eq|NotEq)",
]


@dataclass(frozen=True)
class Equivalent:
    """A break that changes nothing that anybody could see.

    line: matches the text of the line that is broken.
    why: what makes it nothing.
    file: the end of the file's name; any, if not given.
    """

    line: str
    why: str
    file: str = ".py"


EQUIVALENT = [
    Equivalent(r"@dataclass\(.*", "whether fields may be set, and where they are kept"),
    Equivalent(r"class \w+\((msgspec\.Struct|Message).*", "the same, and how it is made and compared"),
    Equivalent(r".*\bstrict=True.*", "a guard against a mistake of ours"),
    Equivalent(r"_BLOCK = .*|_FIRST = .*", "how much memory is taken at once", "search/index.py"),
    Equivalent(r"height = max\(1, _BLOCK // .*", "the same", "search/index.py"),
    Equivalent(
        r"room = max\(total, 2 \* .*|if total > len\(self\._rows\):",
        "when memory is taken",
        "search/index.py",
    ),
    Equivalent(r"def __init__\(self, chunk: int = 2048\).*", "how much is copied at once", "search/index.py"),
    Equivalent(
        r"self\.view = View\(self\._rows\[:0\], .*", "a part of nothing is nothing", "search/index.py"
    ),
    Equivalent(r"return found & .*", "the product of truths is the same truth", "search/decision.py"),
    Equivalent(
        r"values\[values >= 1\.0 - _ROUNDING\] = 1\.0", "a similarity of exactly that", "search/index.py"
    ),
    Equivalent(
        r"if before is not None and faces\.offset > before\.offset:",
        "a frame of the same offset is later",
        "visits.py",
    ),
]


@dataclass(frozen=True)
class Break:
    """What became of one."""

    part: str
    diff: str
    noticed: bool

    @property
    def equivalent(self) -> bool:
        """Tell whether it is one of those that change nothing."""
        *_, file = (line for line in self.diff.splitlines() if line.startswith("+++"))
        return any(
            file.endswith(one.file) and any(re.fullmatch(one.line, line) for line in self.lines("-"))
            for one in EQUIVALENT
        )

    def lines(self, sign: str) -> list[str]:
        """Return the lines that the break takes away (-), or puts there (+)."""
        found = (
            line
            for line in self.diff.splitlines()
            if re.match(rf"{re.escape(sign)}(?!{re.escape(sign * 2)})", line)
        )
        return [line[1:].strip() for line in found]


def main() -> int:
    """Run, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all if not given")
    parser.add_argument("--share", type=float, default=1.0, help="of the breaks; the same ones each time")
    parser.add_argument("--jobs", type=int, default=2, help="parts at once")
    wanted = parser.parse_args()
    if unknown := set(wanted.parts) - set(PARTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    with ThreadPoolExecutor(wanted.jobs) as pool:
        found = [*pool.map(lambda part: breaks_of(part, wanted.share), wanted.parts or PARTS)]
    return report([one for breaks in found for one in breaks])


def breaks_of(part: str, share: float) -> list[Break]:
    """Make the breaks of a part in a copy of the checkout, and return what became of each."""
    paths, tests = PARTS[part]
    with TemporaryDirectory(prefix=f"mutants-{part}-") as folder:
        tree, config, session = (Path(folder) / name for name in ("tree", "config.toml", "session.sqlite"))
        copy_checkout(tree)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        begin = time.monotonic()
        if run(command, tree).returncode:
            raise SystemExit(f"{part}: its tests fail before anything is broken")
        patience = 10 + 5 * (time.monotonic() - begin)
        config.write_text(tomli_w.dumps(configuration(paths, command, patience)))
        for step in ("init", "exec"):
            done = run([sys.executable, "-m", "cosmic_ray.cli", step, str(config), str(session)], tree)
            if done.returncode:
                raise SystemExit(f"{part}: cosmic-ray {step}: {done.stderr}")
            with use_db(session) as work:
                if step == "init":
                    leave_out(work, share)
                else:
                    return [*outcomes(part, work)]
    return []


def run(command: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command there; what hypothesis tries is the same each time."""
    environment = os.environ | {"CI": "true"}
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def copy_checkout(tree: Path) -> None:
    """Copy what is of the project; nets and what is kept beside it are links."""
    for name in ("app", "tests"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "weights", "docs", "var"):
        (tree / name).symlink_to(ROOT / name)


def configuration(paths: Sequence[str], command: Sequence[str], timeout: float) -> dict[str, object]:
    """Return what cosmic-ray wants to know; tests that run longer than the timeout have noticed something."""
    of_it = {
        "module-path": [*paths],
        "timeout": timeout,
        "excluded-modules": [],
        "test-command": shlex.join(command),
    }
    return {"cosmic-ray": of_it | {"distributor": {"name": "local"}}}


def leave_out(work: WorkDB, share: float) -> None:
    """Take away breaks that are not made, and all but a share of the others."""
    chance = random.Random(1)
    for item in [*work.pending_work_items]:
        names = [mutation.operator_name for mutation in item.mutations]
        if (
            any(re.fullmatch(pattern, name) for pattern in LEFT_OUT for name in names)
            or chance.random() >= share
        ):
            work.set_result(item.job_id, WorkResult(worker_outcome=WorkerOutcome.SKIPPED))


def outcomes(part: str, work: WorkDB) -> Iterator[Break]:
    """Give what became of each break that was made."""
    for _, result in work.results:
        if result.worker_outcome is not WorkerOutcome.SKIPPED:
            yield Break(part, result.diff or "", result.test_outcome is TestOutcome.KILLED)


def report(breaks: Sequence[Break]) -> int:
    """Print what was not noticed, and the shares; return the exit code."""
    counted = [one for one in breaks if not one.equivalent]
    for one in counted:
        if not one.noticed:
            print(f"--- not noticed, {one.part}\n{one.diff}\n")
    for one in breaks:
        if one.equivalent and not one.noticed:
            broken = zip(one.lines("-"), one.lines("+"), strict=False)
            print(
                f"--- changes nothing, {one.part}: {' / '.join(f'{old}  ->  {new}' for old, new in broken)}"
            )
    for part in sorted({one.part for one in counted}):
        print(f"{part}: {_share([one for one in counted if one.part == part])}")
    print(f"all: {_share(counted)}; {len(breaks) - len(counted)} more change nothing")
    return 0 if sum(one.noticed for one in counted) >= GOAL * len(counted) else 1


def _share(breaks: Sequence[Break]) -> str:
    noticed = sum(one.noticed for one in breaks)
    return f"{noticed} of {len(breaks)} noticed, {noticed / len(breaks):.1%}"


if __name__ == "__main__":
    sys.exit(main())
