"""Largest singular values of matrices that follow each other."""

import numpy as np
import pytest

from tidegate.gradient_flow.spectrum import LargestSingularValue

ACCURATE = 1e-6


@pytest.mark.parametrize("H", [1, 2, 8, 40])
def test_it_follows_a_product(H: int) -> None:
    """Along a product of random matrices the value is LAPACK's, whether the matrices are full or nearly of rank one."""
    rng, norm, product = np.random.default_rng(0), LargestSingularValue(), np.eye(H)
    for _ in range(60):
        assert norm(product) == pytest.approx(np.linalg.norm(product, 2), rel=ACCURATE)
        product = product @ (0.8 * np.eye(H) + 0.3 * rng.standard_normal((H, H)) / H**0.5)
        product /= np.linalg.norm(product)


def test_it_finds_what_it_did_not_look_for() -> None:
    """Matrices that have nothing to do with the ones before get their values too."""
    rng, norm = np.random.default_rng(0), LargestSingularValue()
    for _ in range(20):
        matrix = rng.standard_normal((40, 40))
        assert norm(matrix) == pytest.approx(np.linalg.norm(matrix, 2), rel=ACCURATE)


def test_a_direction_that_grows_from_nothing_is_found() -> None:
    """A value that was far below the leading ones when the block was chosen is found when it leads."""
    norm = LargestSingularValue()
    rates = np.linspace(0.99, 0.5, 40)
    left, right = (np.linalg.qr(np.random.default_rng(seed).standard_normal((40, 40)))[0] for seed in (0, 1))
    values = np.ones(40)
    values[-1] = 1e-6
    for _ in range(60):
        matrix = left @ np.diag(values) @ right
        assert norm(matrix) == pytest.approx(values.max(), rel=ACCURATE)
        values[:-1] *= rates[:-1]
        values[-1] *= 1.5


def test_directions_that_never_mix_are_all_seen() -> None:
    """Of a product that stays diagonal the value is the largest entry, wherever it stands."""
    norm, product = LargestSingularValue(), np.eye(20)
    fades = np.diag(np.r_[np.full(8, 0.5), np.linspace(0.9, 0.95, 12)])
    for _ in range(60):
        assert norm(product) == pytest.approx(product.max(), rel=ACCURATE)
        product = product @ fades
        product /= np.linalg.norm(product)


def test_a_matrix_that_the_subspace_has_nothing_of_is_measured() -> None:
    """Where the directions looked at are all mapped to 0, as by relu units that are off, the value is not 0."""
    norm = LargestSingularValue()
    assert norm(np.diag(np.arange(40.0))) == 39
    assert norm(np.diag([2.0] + [0.0] * 39)) == pytest.approx(2, rel=ACCURATE)
