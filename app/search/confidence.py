"""How likely a name is right, given how similar the probe is and by how much its person leads the next one.

A logistic curve of both (Platt, "Probabilistic outputs for support vector machines", 1999), which `onlooker
calibrate` learns from probes of which every second one is of somebody enrolled. Where strangers are more
frequent than that, names are right less often.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["Confidence", "Curve"]

#: What is added, and what similarity and lead weigh.
Curve = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Confidence:
    """The curves of single faces, and of several in one template; None where one was not learnt."""

    single: Curve | None = None
    pooled: Curve | None = None

    def of(self, similarity: float, lead: float, faces: int) -> float | None:
        """Return the probability that the nearest person is the right one, of a probe of so many faces."""
        curve = self.single if faces < 2 else self.pooled
        if curve is None:
            return None
        added, by_similarity, by_lead = curve
        # The tails are as far out as any numbers that were learnt from.
        logit = np.clip(added + by_similarity * similarity + by_lead * lead, -30, 30)
        return float(1 / (1 + np.exp(-logit)))
