"""Largest singular values of many matrices, each near the one before."""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

BLOCK, ROUNDS, ACCURACY = 8, 2, 1e-6


class LargestSingularValue:
    """The largest singular values of square matrices that change little from one to the next, to a part in a million.

    Subspace iteration with the singular vectors of the matrix before (Halko, Martinsson & Tropp 2011). With Q an
    orthonormal basis of the subspace, ‖M‖² ≤ ‖QᵀM‖² + ‖M − QQᵀM‖², and the last term is at most what the subspace
    leaves out of the Frobenius norm: when that is small enough the value is proven. Where it is not after two rounds,
    as in the first steps and where many directions last equally long, the value is LAPACK's.
    """

    def __init__(self) -> None:
        self._block: Array | None = None

    def __call__(self, matrix: Array) -> float:
        """Computes the largest singular value of a matrix [H, H]."""
        energy, block = float(np.vdot(matrix, matrix)), self._block
        if block is None:
            block = np.linalg.qr(np.random.default_rng(0).standard_normal((len(matrix), BLOCK)))[0]
        for _ in range(ROUNDS):
            image = matrix.T @ block
            gram = image.T @ image
            value = float(np.linalg.eigvalsh(gram)[-1])
            block = self._block = np.linalg.qr(matrix @ image)[0]
            if energy - np.trace(gram) <= ACCURACY * value:
                return float(value**0.5)
        return float(np.linalg.eigvalsh(matrix.T @ matrix)[-1] ** 0.5)
