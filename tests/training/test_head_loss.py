"""The loss of a linear head over many words, against torch's own functions in float64."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tidegate.training.network.head_loss import head_loss  # noqa: E402
from tidegate.training.network.threads import shared_map  # noqa: E402

SIZES = [(1, 3, 2), (256, 5, 7), (700, 16, 300), (513, 64, 65)]


def drawn(words: int, features: int, classes: int) -> tuple[list[Any], Any]:
    """Features, weight and bias, which all want gradients, and targets."""
    torch.manual_seed(0)
    leaves = [torch.randn(words, features), 3 * torch.randn(classes, features), torch.randn(classes)]
    return [leaf.requires_grad_() for leaf in leaves], torch.randint(classes, (words,))


@pytest.mark.parametrize("sizes", SIZES)
def test_loss_and_gradients_are_those_of_cross_entropy(sizes: tuple[int, int, int]) -> None:
    """To float32's rounding, with a gradient that is not 1, and words that are no whole number of pieces."""
    leaves, targets = drawn(*sizes)
    exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
    expected = torch.nn.functional.cross_entropy(torch.nn.functional.linear(*exact), targets)
    features, weight, bias = leaves
    loss = head_loss(features, weight, bias, targets)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6, abs=1e-6)
    found = torch.autograd.grad(3 * loss, leaves)
    for gradient, wanted in zip(found, torch.autograd.grad(3 * expected, exact), strict=True):
        torch.testing.assert_close(
            gradient.double(), wanted, rtol=1e-5, atol=1e-6 / len(targets) + 1e-5 * wanted.abs().max().item()
        )


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever computes a piece, the pieces and the order in which they are added up are the same."""
    leaves, targets = drawn(2000, 32, 500)
    features, weight, bias = leaves
    alone = head_loss(features, weight, bias, targets)
    monkeypatch.setattr("tidegate.training.network.threads.get_num_threads", lambda: 3)
    with shared_map() as shared:
        together = head_loss(features, weight, bias, targets, shared)
    assert torch.equal(alone, together)
    pairs = zip(torch.autograd.grad(alone, leaves), torch.autograd.grad(together, leaves), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_few_results_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results come in order, and whoever does not fetch them soon finds few of them; an error is the caller's."""
    monkeypatch.setattr("tidegate.training.network.threads.get_num_threads", lambda: 2)
    begun: list[int] = []

    def inverse(number: int) -> float:
        begun.append(number)
        return 1 / number

    with shared_map() as shared:
        found = shared(inverse, range(1, 100))
        assert next(found) == 1
    assert len(begun) == 4
    with shared_map() as shared, pytest.raises(ZeroDivisionError):
        list(shared(inverse, [2, 1, 0]))


def test_an_improbable_word_costs_what_it_should() -> None:
    """Where the probability of a word is 0 in float32, its loss is finite, and exact."""
    features, weight, bias = torch.zeros(2, 1), torch.zeros(2, 1), torch.tensor([0.0, 1000.0])
    assert head_loss(features, weight, bias, torch.tensor([0, 1])).item() == 500
