"""The embedders of the catalogue as published, where their files are: no other test runs most."""

from collections.abc import Callable

import numpy as np
import pytest

from app.models.embedding import load_embedder
from app.models.images import Image
from app.models.pipeline import Recogniser
from app.models.runtime.session import Runtime
from app.settings import ROOT
from app.weights.catalogue import EmbedderEntry, Entry


@pytest.mark.parametrize("name", ["faceplugin-512", "sface", "arcface-r50", "arcface-r100", "arcface-mbf"])
def test_one_person_is_closer_than_two(
    published: Callable[[str], Entry], recogniser: Recogniser, still: Callable[[str], Image], name: str
) -> None:
    entry = published(name)
    assert isinstance(entry, EmbedderEntry)
    faces = [
        recogniser.analyse(still(f"demo-portraits/{photo}.jpg")) for photo in ("obama", "obama2", "biden")
    ]
    aligned = np.concatenate([found.aligned for found in faces])
    assert len(aligned) == 3
    first, second, other = load_embedder(entry, ROOT / "weights", Runtime()).embed(aligned)
    assert first @ second > max(first @ other, second @ other) + 0.2
