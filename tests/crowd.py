"""People whose faces are vectors: as unlike themselves, from picture to picture, as a test wants."""

import numpy as np

from app.evaluation.face import Face

__all__ = ["people"]

DIMENSION = 64


def people(enrolled: int, strangers: int, noise: float, seed: int = 0) -> dict[str, list[Face | None]]:
    """Return people with four pictures each and strangers with three, by `noise` unlike themselves."""
    random = np.random.default_rng(seed)

    def faces(count: int) -> list[Face | None]:
        middle = random.normal(size=DIMENSION)
        rows = middle / np.linalg.norm(middle) + noise * random.normal(size=(count, DIMENSION)) / 8
        return [Face((row / np.linalg.norm(row)).astype(np.float32), 0.7) for row in rows]

    known = {f"known-{number}": faces(4) for number in range(enrolled)}
    return known | {f"stranger-{number}": faces(3) for number in range(strangers)}
