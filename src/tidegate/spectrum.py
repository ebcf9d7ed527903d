"""Largest singular values of many matrices, each near the one before."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

BLOCK, ROUNDS, ACCURACY = 8, 12, 1e-6


class LargestSingularValue:
    """The largest singular values of square matrices that change little from one to the next.

    Subspace iteration with the singular vectors of the matrix before (Halko, Martinsson & Tropp 2011): it ends when
    what the subspace leaves out could add less than a part in a million, or a round adds less than that. Where neither
    comes to pass in a few rounds, as in the first steps, it is LAPACK's.
    """

    def __init__(self) -> None:
        self._block: Array | None = None

    def __call__(self, matrix: Array) -> float:
        """Computes the largest singular value of a matrix [H, H]."""
        block, before = self._block, 0.0
        if block is None:
            left, values, _ = np.linalg.svd(matrix)
            self._block = left[:, :BLOCK]
            return float(values[0])
        energy = float(np.vdot(matrix, matrix))
        for _ in range(ROUNDS):
            image = matrix.T @ block
            gram = image.T @ image
            value = float(np.linalg.eigvalsh(gram)[-1])
            block = self._block = np.linalg.qr(matrix @ image)[0]
            if value and min(energy - np.trace(gram), value - before) <= ACCURACY * value:
                return float(value**0.5)
            before = value
        return float(np.linalg.norm(matrix, 2))
