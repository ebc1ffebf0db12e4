"""Small datasets on disk, drawn on the spot."""

from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

Draw = Callable[[Mapping[str, int]], Path]


@pytest.fixture
def drawn(tmp_path: Path) -> Draw:
    """Return what makes a folder with so many pictures of each person, no two of them alike."""

    def draw(people: Mapping[str, int]) -> Path:
        folder = tmp_path / "images"
        for name, count in people.items():
            (folder / name).mkdir(parents=True)
            for number in range(1, count + 1):
                seed = np.random.default_rng([*name.encode(), number])
                image = seed.integers(0, 255, (32, 32, 3), np.uint8)
                assert cv2.imwrite(str(folder / name / f"{name}_{number:04d}.jpg"), image)
        return folder

    return draw
