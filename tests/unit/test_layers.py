"""Nothing imports upward, and every module says what it offers."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from app.settings import ROOT

#: Not to be imported here: one runs a command, the other is run by MXNet's own environment.
FOREIGN = {"__main__.py", "oracle_process.py"}

#: From the bottom up; a part may import from its own layer and from those below.
LAYERS = [
    {
        "errors",
        "cores",
        "logs",
        "locks",
        "progress",
        "sqlite",
        "settings",
        "contradictions",
        "messages",
        "topics",
        "metrics",
        "processes",
    },
    {"kafka"},
    {"weights"},
    {"models", "search", "tracking"},
    {"importers", "enrolment", "tables", "history", "sources", "broker", "evaluation"},
    {"agents"},
    {"web"},
    {"cli"},
    {"worker", "application"},
]
HEIGHT = {part: height for height, layer in enumerate(LAYERS) for part in layer}
#: What knows nothing of Kafka and HTTP.
PURE = {
    "weights",
    "models",
    "search",
    "importers",
    "tracking",
    "enrolment",
    "evaluation",
    "messages",
    "topics",
    "settings",
    "errors",
    "locks",
    "progress",
    "sqlite",
}
NETWORK = {"faust", "aiokafka", "aiohttp", "mode"}

#: Imported where they are used: each brings much for which others need not wait (Faust, matplotlib, OpenCV).
ASIDE = {"app.kafka.consumer", "app.kafka.intake", "app.evaluation.picture", "app.sources.demo"}

FILES = sorted((ROOT / "app").rglob("*.py"))


def part(path: Path) -> str:
    return path.relative_to(ROOT / "app").parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [path for path in FILES if part(path) != "__init__"], ids=name)
def test_nothing_imports_upward(path: Path) -> None:
    mine = HEIGHT[part(path)]
    for module in imported(path):
        first, _, rest = module.partition(".")
        below = rest.partition(".")[0]
        if first == "app" and below in HEIGHT:
            assert HEIGHT[below] <= mine, f"{name(path)} imports {module}"


@pytest.mark.parametrize("path", [path for path in FILES if part(path) in PURE], ids=name)
def test_what_is_pure_knows_no_network(path: Path) -> None:
    assert not {module.partition(".")[0] for module in imported(path)} & NETWORK


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_package_is_used_through_what_it_offers(path: Path) -> None:
    """Its modules are its own: what others may use of them is in its `__init__`."""
    others = {module for module in imported(path) if module.split(".")[:2] != ["app", part(path)]}
    modules = {module for module in others if module.count(".") > 1 and module.startswith("app.")}
    files = {module for module in modules if (ROOT / module.replace(".", "/")).with_suffix(".py").exists()}
    # The evaluation names the modules whose code decides what comes out of a picture.
    code = {f"app.models.{name}" for name in ("embedding", "feed", "images", "pipeline", "quality")}
    assert files <= ASIDE | (code if path.stem in {"embeddings", "fingerprint"} else set())


def test_every_folder_is_a_package() -> None:
    """What has no `__init__` would be missing from a wheel."""
    assert not [name(path) for path in FILES if not (path.parent / "__init__.py").exists()]


@pytest.mark.parametrize("path", [path for path in FILES if part(path) == "search"], ids=name)
def test_the_search_knows_nothing_of_what_is_searched_for(path: Path) -> None:
    ours = {module for module in imported(path) if module.partition(".")[0] == "app"}
    assert all(module.startswith("app.search") for module in ours)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_module_says_what_lives_there_and_what_it_offers(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree), f"{name(path)} has no docstring"
    offered = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    defined = [
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_"
    ]
    if not offered:
        assert not defined, f"{name(path)} offers {defined} but has no __all__"
        return
    order = sorted(offered[0], key=lambda word: (not word.isupper(), not word[0].isupper(), word))
    assert offered[0] == order, f"{name(path)}: __all__ is not sorted"
    assert len(set(offered[0])) == len(offered[0])
    if path.name not in FOREIGN and part(path) != "__init__":
        dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        module = import_module(dotted)
        assert all(hasattr(module, word) for word in offered[0])
