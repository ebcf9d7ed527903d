"""The torch classifier: its parts against torch's own functions, and its weights in a `TextModel`."""

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tidegate.models.config import TextConfig  # noqa: E402
from tidegate.models.text_model import TextModel  # noqa: E402
from tidegate.text.tokenizer import Tokenizer  # noqa: E402
from tidegate.training.data.corpus import Corpus  # noqa: E402
from tidegate.training.network.modules import TextModule  # noqa: E402
from tidegate.training.network.shares import dropout_mask  # noqa: E402
from tidegate.training.network.summaries import _mean_and_max as mean_and_max  # noqa: E402

LENGTHS = torch.tensor([5, 0, 3, 1])
WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "lazy", "dogs"]
TOKENIZER = Tokenizer.train(WORDS, min_frequency=1)


def config(**fields: object) -> TextConfig:
    """A small configuration."""
    sizes = {"cell": "gru", "embedding_size": 6, "hidden_size": 5} | fields
    return TextConfig(labels=("a", "b", "c"), vocab_size=len(TOKENIZER), **sizes)  # type: ignore[arg-type]


@pytest.mark.parametrize("balanced", [False, True])
def test_equal_weights_of_the_rows_change_no_loss(balanced: bool) -> None:
    """Weights of 1 are as good as none, with weights of the classes too; and a weight of 2 counts a row twice."""
    module = TextModule(config(cell="average"))
    module.class_weights = torch.tensor([0.5, 1.0, 3.0]) if balanced else None
    scores, targets = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 2, 2, 1])
    torch.testing.assert_close(module.loss(scores, targets, torch.ones(4)), module.loss(scores, targets))
    weights, alone = torch.tensor([2.0, 1.0, 1.0, 1.0]), module.loss(scores[:1], targets[:1])
    counts = torch.ones(4) if module.class_weights is None else module.class_weights[targets]
    share = counts[0] / counts.sum()
    torch.testing.assert_close(module.loss(scores, targets, weights), module.loss(scores, targets) + share * alone)


def ragged(features: int = 4) -> Any:
    """Random outputs [T, B, F] that are 0 beyond each row's length, as those of a recurrent layer."""
    torch.manual_seed(0)
    inside = torch.arange(5)[:, None] < LENGTHS
    return (torch.randn(5, 4, features) * inside[..., None]).double().requires_grad_()


def plain_mean_and_max(y: Any) -> Any:
    """Both summaries row by row, by torch's functions."""
    rows = [y[:n, b] for b, n in enumerate(LENGTHS.tolist())]
    zero = y.new_zeros(y.shape[2])
    mean = [row.mean(0) if len(row) else zero for row in rows]
    return torch.cat([torch.stack(mean), torch.stack([row.amax(0) if len(row) else zero for row in rows])], 1)


def test_mean_and_max_are_those_of_each_row() -> None:
    """Steps beyond a row's end count neither for the mean nor for the maximum, even if all others are negative."""
    y = (ragged() - 3 * (torch.arange(5)[:, None] < LENGTHS)[..., None]).detach()
    torch.testing.assert_close(torch.cat(mean_and_max(y, LENGTHS), 1), plain_mean_and_max(y))


def test_gradients_of_mean_and_max_are_torchs() -> None:
    """Within each row's length the gradient is that of torch's mean and amax."""
    y, weights = ragged(), torch.randn(4, 8, dtype=torch.float64)
    (expected,) = torch.autograd.grad((plain_mean_and_max(y) * weights).sum(), y)
    (found,) = torch.autograd.grad((torch.cat(mean_and_max(y, LENGTHS), 1) * weights).sum(), y)
    inside = (torch.arange(5)[:, None] < LENGTHS)[..., None]
    torch.testing.assert_close(found * inside, expected)


def test_equal_maxima_share_the_gradient() -> None:
    """Steps that reach the same maximum get equal parts that add up to the whole."""
    y = torch.ones(4, 1, 1, requires_grad=True)
    (found,) = torch.autograd.grad(mean_and_max(y, torch.tensor([4]))[1].sum(), y)
    assert found.flatten().tolist() == [0.25] * 4


ARCHITECTURES = [
    *({"cell": cell, "summary": s} for cell in ("gru", "lstm", "rnn_tanh", "rnn_relu") for s in ("last", "mean+max")),
    *({"summary": s, "bidirectional": True, "num_layers": 2} for s in ("last", "mean", "max", "mean+max")),
    {"cell": "gru", "bias": False},
    {"cell": "average"},
    {"cell": "gru reset=off candidate=relu gate=hard_sigmoid", "bidirectional": True},
    {"cell": "gru update=off candidate=identity"},
    {"cell": "gru reset=before", "bidirectional": True},
    {"cell": "compound"},
    {"cell": "compound", "rate": 1.05},
]


@pytest.mark.parametrize("fields", ARCHITECTURES, ids=str)
def test_a_model_gives_the_numbers_of_the_classifier(fields: dict[str, object]) -> None:
    """The `state_dict` is what a `TextModel` is made of, and both compute the same logits and summary vectors."""
    torch.manual_seed(0)
    classifier = TextModule(config(**fields)).eval()
    arrays = {name: tensor.numpy() for name, tensor in classifier.state_dict().items()}
    model = TextModel(classifier.config, TOKENIZER, arrays)
    texts = ["the quick brown fox", "", "dogs", "jumps over the lazy dogs, unknown to all"]
    corpus = Corpus.from_texts(texts, TOKENIZER)

    ids, lengths = (torch.from_numpy(array) for array in corpus.padded(np.arange(len(texts))))
    with torch.inference_mode():
        np.testing.assert_allclose(model.encode(texts), classifier.encode(ids, lengths), atol=1e-5)
        np.testing.assert_allclose(model.scores(texts), classifier(ids, lengths), atol=1e-5)


@pytest.mark.parametrize("cell", ["gru", "average", "compound"])
def test_padding_changes_nothing(cell: str) -> None:
    """A text scores the same alone and beside a longer one, and the padding's vector stays 0 when trained."""
    torch.manual_seed(0)
    classifier = TextModule(config(cell=cell))
    ids = torch.tensor([[2, 3], [4, 5], [0, 6], [0, 7]])
    lengths = torch.tensor([2, 4])
    torch.testing.assert_close(classifier(ids, lengths)[:1], classifier(ids[:2, :1], lengths[:1]))
    classifier(ids, lengths).square().sum().backward()
    assert classifier.embedding.weight.grad is not None
    assert (classifier.embedding.weight.grad[0] == 0).all()
    assert (classifier.embedding.weight[0] == 0).all()


def test_compounding_is_a_savings_account() -> None:
    """With a rate of 1.05 a deposit of 3000 grows to 3307.5 in two years, three of 1000 to 3152.5."""
    classifier = TextModule(config(cell="compound", rate=1.05, embedding_size=1))
    with torch.no_grad():
        classifier.embedding.weight[2:5] = torch.tensor([[1000.0], [3000.0], [0.0]])
        found = classifier.encode(torch.tensor([[2, 3], [2, 4], [2, 4]]), torch.tensor([3, 3]))
    assert found.flatten().tolist() == pytest.approx([3152.5, 3307.5])


def test_only_a_learned_rate_is_trained() -> None:
    """A given growth factor stays, a learned one gets a gradient and is kept between 0 and 1."""
    ids, lengths = torch.tensor([[2], [3], [4]]), torch.tensor([3])
    given, learned = (TextModule(config(cell="compound", rate=rate)) for rate in (1.25, None))
    for classifier in (given, learned):
        classifier(ids, lengths).square().sum().backward()
    assert given.rate.grad is None
    assert learned.rate.grad is not None
    assert learned.rate.grad.abs().item() > 0
    with torch.no_grad():
        learned.rate.fill_(1.5)
    learned(ids, lengths)
    assert learned.rate.item() == 1.0
    assert given.rate.item() == 1.25


@pytest.mark.parametrize("dropout", [0.0, 0.2, 0.5, 1 - 2**-20])
def test_dropout_masks(dropout: float) -> None:
    """A feature drops out with this probability, whatever others do; masks are torch's generator's, of any shape."""
    torch.manual_seed(0)
    mask = dropout_mask((1001, 3, 333), dropout)
    assert mask.shape == (1001, 3, 333)
    kept = mask > 0
    share = min(round(dropout * 65536), 65535) / 65536
    assert set(np.unique(mask.numpy()).tolist()) <= {0.0, float(np.float32(1 / (1 - share)))}
    spread = (share * (1 - share) / mask.numel()) ** 0.5
    assert abs(float(kept.double().mean()) - (1 - share)) <= 4 * spread
    for axis in range(3):  # along an axis they vary as much as independent ones do
        means = kept.double().mean(axis).flatten()
        expected = (share * (1 - share) / mask.shape[axis]) ** 0.5
        assert float(means.std()) == pytest.approx(expected, rel=0.15, abs=1e-4)
    torch.manual_seed(0)
    assert torch.equal(mask, dropout_mask((1001, 3, 333), dropout))
    assert dropout_mask((), dropout).shape == ()
    assert dropout_mask((0, 4), dropout).shape == (0, 4)


@pytest.mark.parametrize(("cell", "of_a_batch"), [("gru", True), ("average", False)])
def test_dropout_takes_the_same_features_all_along_a_text(cell: str, of_a_batch: bool) -> None:
    """A feature is missing from every word of a text or from none; recurrent layers have one mask for all texts."""
    torch.manual_seed(0)
    classifier = TextModule(config(cell=cell, embedding_size=50), dropout=0.5)
    torch.nn.init.ones_(classifier.embedding.weight)
    ids, seen = torch.tensor([[2, 3], [3, 4], [2, 4]]), []
    if cell == "gru":
        classifier.rnn.register_forward_pre_hook(
            lambda _, args, options: seen.append(args[0][options["ids"]]), with_kwargs=True
        )
        classifier(ids, torch.tensor([3, 3]))
    else:
        seen.append(classifier.encode(ids, torch.tensor([3, 3]))[None])  # a mean of 0 and 2 alike is neither
    (x,) = seen
    assert (x == x[:1]).all()
    assert set(x.round().flatten().tolist()) == {0.0, 2.0}
    assert bool((x[0, 0] == x[0, 1]).all()) == of_a_batch


def test_the_names_of_the_weights_are_torchs() -> None:
    """The `state_dict` has the names that the model file has."""
    names = set(TextModule(config(bidirectional=True)).state_dict())
    stack = {
        f"rnn.{kind}_l0{end}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh") for end in ("", "_reverse")
    }
    assert names == {"embedding.weight", "head.weight", "head.bias"} | stack


@pytest.mark.parametrize(
    "fields", [{"cell": "average"}, {"cell": "rnn_tanh"}, {"cell": "gru update=off"}, {"bias": False}], ids=str
)
def test_memories_need_update_gates(fields: dict[str, object]) -> None:
    """What has no update gate, or no bias, cannot start with memories of given length; a GRU can."""
    with pytest.raises(ValueError, match=r"chrono is 9|cell is 'average'"):
        TextModule(config(**fields), chrono=9)
    bias = TextModule(config(), chrono=9).state_dict()["rnn.bias_ih_l0"]
    assert (bias[5:10] >= 0).all()
