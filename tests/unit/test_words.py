"""Names are the field's, Kafka's or Faust's: a newcomer has no words of this house to learn."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.settings import ROOT

#: Words that once stood for what the field has a word for, as they are written in names.
GONE = {
    "analyst": "inference pool",
    "board": "stream monitor",
    "bury": "send to the dead letters",
    "described": "to_json",
    "obituary": "exit reason",
    "operate": "operating point",
    "past": "history",
    "placing": "installation",
    "stays": "visit tracker",
    "tally": "score histogram",
    "teller": "progress",
    "told": "to_json, published",
    "way_of": "fingerprint",
    "wishes": "options",
}
#: The same of classes; as other names they are plain English.
GONE_CLASSES = {"Background", "Newest", "Parts", "Silence"}
FILES = sorted((ROOT / "app").rglob("*.py"))


def names(path: Path) -> Iterator[str]:
    """Yield every name that a file defines, and its own."""
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store()):
                yield name


def words(name: str) -> str:
    """Return a name as small words between underscores."""
    return "_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().strip("_") + "_"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_name_is_a_word_of_this_house(path: Path) -> None:
    found = {name: gone for name in names(path) for gone in GONE if f"_{gone}_" in words(name)}
    assert not found
    assert not set(names(path)) & GONE_CLASSES


def test_such_a_name_is_noticed() -> None:
    assert words("WayOf") == "_way_of_"
    assert words("_told") == "_told_"
    assert words("newestFrame") == "_newest_frame_"


def test_the_glossary_is_short_and_has_no_such_word() -> None:
    text = (ROOT / "docs/design.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \|", text[text.index("## Glossary") :], re.MULTILINE)[1:]
    entries = [row for row in rows if not row.startswith("--")]
    assert 20 <= len(entries) <= 40
    assert not [entry for entry in entries for gone in GONE if f"_{gone}_" in words(entry.replace(" ", "_"))]
