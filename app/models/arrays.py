"""Names for the arrays that go through the nets."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Image"]

#: (H, W, 3) uint8, blue-green-red, as OpenCV has it.
Image = NDArray[np.uint8]
#: float32 of any shape.
Floats = NDArray[np.float32]
