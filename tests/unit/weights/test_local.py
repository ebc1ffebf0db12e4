"""What was found out on this machine lies over the shipped catalogue, and is written whole or not at all."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.weights.catalogue import CatalogueError, EmbedderEntry, load_catalogue
from app.weights.local import change_local, put_local

NET = {
    "kind": "embedder",
    "title": "A net",
    "source": "mxnet:/nets/model@7",
    "homepage": "",
    "licence": "not stated",
    "files": [{"name": "net.onnx", "member": "net.onnx", "bytes": 3, "sha256": "0" * 64}],
    "made_from": [{"name": "model-symbol.json", "bytes": 9, "sha256": "1" * 64}],
    "input": {"colour": "RGB", "mean": 0.0, "scale": 1.0},
    "size": 112,
    "dimension": 128,
}


def embedder(folder: Path, name: str) -> EmbedderEntry:
    return load_catalogue(folder).embedder(name)


def test_a_new_entry_stands_beside_the_shipped_ones(tmp_path: Path) -> None:
    shipped = [entry.name for entry in load_catalogue(tmp_path)]
    put_local(tmp_path, "net", NET)
    assert [entry.name for entry in load_catalogue(tmp_path)] == [*shipped, "net"]
    assert embedder(tmp_path, "net").made_from[0].name == "model-symbol.json"


def test_a_second_entry_leaves_the_first_alone(tmp_path: Path) -> None:
    put_local(tmp_path, "net", NET)
    put_local(tmp_path, "other", NET | {"dimension": 64})
    assert [embedder(tmp_path, name).dimension for name in ("net", "other")] == [128, 64]
    assert {path.name for path in tmp_path.iterdir()} == {"local.toml", ".local.lock"}


def test_a_key_changes_a_shipped_entry_and_nothing_else(tmp_path: Path) -> None:
    before = embedder(tmp_path, "faceplugin-512")
    change_local(tmp_path, "faceplugin-512", {"threshold": 0.6})
    after = embedder(tmp_path, "faceplugin-512")
    assert (before.threshold, after.threshold) == (0.49, 0.6)
    assert after.files == before.files


def test_putting_forgets_what_was_found_out_about_the_former_net(tmp_path: Path) -> None:
    put_local(tmp_path, "net", NET)
    change_local(tmp_path, "net", {"threshold": 0.5})
    assert embedder(tmp_path, "net").threshold == 0.5
    put_local(tmp_path, "net", NET)
    assert embedder(tmp_path, "net").threshold is None


def test_a_threshold_that_is_not_known_is_asked_for(tmp_path: Path) -> None:
    put_local(tmp_path, "net", NET)
    entry = embedder(tmp_path, "net")
    assert entry.threshold_or(0.3) == 0.3
    with pytest.raises(CatalogueError, match="'net': run `onlooker calibrate`, or set ONLOOKER_THRESHOLD"):
        entry.threshold_or(None)
    assert embedder(tmp_path, "faceplugin-512").threshold_or(None) == 0.49


def test_a_threshold_that_was_measured_with_another_net_is_not_used(tmp_path: Path) -> None:
    put_local(tmp_path, "net", NET)
    measured = {
        "fpir": 0.01, "gallery": 1000, "comparisons": 10**7, "false_matches": 100, "identified": 0.9,
        "detector": "finder@0", "embedder": embedder(tmp_path, "net").identity, "dataset": "team",
        "date": "2026-11-01",
    }  # fmt: skip
    change_local(tmp_path, "net", {"threshold": 0.5, "calibration": measured})
    assert embedder(tmp_path, "net").threshold_or(None) == 0.5
    change_local(tmp_path, "net", {"calibration": measured | {"embedder": "net@ffffffffffff"}})
    stale = embedder(tmp_path, "net")
    with pytest.raises(
        CatalogueError, match=r"'net' was measured with net@ffffffffffff, not with net@[0-9a-f]{12}:"
    ):
        stale.threshold_or(None)
    assert stale.threshold_or(0.4) == 0.4


@pytest.mark.parametrize(
    ("name", "keys", "says"),
    [
        ("net", {"threshold": "high"}, "'net'.*threshold"),
        ("faceplugin-512", {"typo": 1}, "'faceplugin-512'.*typo"),
        ("nowhere", {"threshold": 0.5}, "'nowhere'.*kind"),
    ],
)
def test_what_is_no_entry_changes_nothing(tmp_path: Path, name: str, keys: dict, says: str) -> None:
    put_local(tmp_path, "net", NET)
    before = (tmp_path / "local.toml").read_bytes()
    with pytest.raises(CatalogueError, match=says):
        change_local(tmp_path, name, keys)
    assert (tmp_path / "local.toml").read_bytes() == before


def test_a_local_catalogue_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "local.toml").write_text("[net", encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"cannot read the catalogue .*local\.toml"):
        load_catalogue(tmp_path)


def test_two_processes_do_not_undo_each_others_changes(tmp_path: Path) -> None:
    """Threads will do: each opens the lock for itself, as a process does."""
    for name in ("one", "two"):
        put_local(tmp_path, name, NET)

    def change(name: str) -> None:
        for step in range(50):
            change_local(tmp_path, name, {"threshold": step / 100})
            assert embedder(tmp_path, name).threshold == step / 100

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(change, ("one", "two")))
    assert {embedder(tmp_path, name).threshold for name in ("one", "two")} == {0.49}


def test_what_cannot_be_written_as_text_is_refused(tmp_path: Path) -> None:
    put_local(tmp_path, "net", NET)
    before = (tmp_path / "local.toml").read_bytes()
    with pytest.raises(CatalogueError, match=r"'other' cannot be written down: '.udce9' in it is no UTF-8"):
        put_local(tmp_path, "other", NET | {"licence": "a\udce9"})
    assert (tmp_path / "local.toml").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"local.toml", ".local.lock"}
