"""The two kinds of arrays that search works on."""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]  # vectors of length 1, one or one per row
Ids = NDArray[np.int64]  # of passages
