"""How much the end of a sequence depends on its steps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate
from tidegate import TextConfig, TextModel, Trace
from tidegate.inspection.gradient_flow import GradientFlow, factors, flow, flows, jacobians, loss_gradients, lyapunov
from tidegate.ops import reference
from tidegate.ops.cells import Cell
from tidegate.ops.names import parameter_letters
from tidegate.text.tokenizer import Tokenizer

CELLS = ["gru", "lstm", "rnn_tanh", "rnn_relu", "gru reset=before"]
I, H, T = 4, 12, 30
SPECTRAL = 1e-9  # of spectral norms, in log10


def traced(cell: str, scale: float = 0.4, T: int = T) -> tuple[Trace, np.ndarray]:
    """A trace in float64 from the specification, and the state weights."""
    rng, known = np.random.default_rng(0), Cell.of(cell)
    w_ih, w_hh = (rng.standard_normal((known.G * H, size)) * scale for size in (I, H))
    h0 = rng.standard_normal((1, H) if known.S == 1 else (known.S, 1, H))
    y, _, kept = reference.Layer(cell, w_ih, w_hh).forward(rng.standard_normal((T, 1, I)), h0)
    values = [kept.get(name, y) for name in (*known.trace, *known.states[1:])]
    return Trace.of(known, y, values, h0=h0, lengths=np.array([T])), w_hh


def scaling(factors: list[float], T: int) -> tuple[Trace, np.ndarray]:
    """A rectified RNN whose units, all above 0, are multiplied by one factor each at every step."""
    ones, lengths = np.ones((T, 1, len(factors))), np.array([T])
    return Trace.of(Cell.of("rnn_relu"), ones, [ones], h0=ones[0], lengths=lengths), np.diag(factors)


@pytest.mark.parametrize("cell", CELLS)
def test_norms_are_those_of_the_product(cell: str) -> None:
    """Both norms at every t are those of the product of Jacobians, taken in full."""
    trace, w_hh = traced(cell)
    found, product = flow(trace, w_hh), np.eye(trace.cell.S * H)
    assert found.log_spectral is not None
    for t, jacobian in zip(range(T, -1, -1), [None, *jacobians(trace, w_hh)[::-1]], strict=True):
        product = product if jacobian is None else product @ jacobian
        np.testing.assert_allclose(found.log_frobenius[t], np.log10(np.linalg.norm(product)), atol=1e-9)
        np.testing.assert_allclose(found.log_spectral[t], np.log10(np.linalg.norm(product, 2)), atol=SPECTRAL)


@pytest.mark.parametrize("cell", ["gru", "rnn_tanh", "lstm"])
def test_the_whole_way_equals_autograd(cell: str) -> None:
    """‖∂h_T/∂h_0‖, of an LSTM ‖∂(h_T, c_T)/∂(h_0, c_0)‖, is that of torch's autograd through all steps, in float64."""
    torch = pytest.importorskip("torch")
    rng, known = np.random.default_rng(0), Cell.of(cell)
    w_ih, w_hh = (rng.standard_normal((known.G * H, size)) * 0.4 for size in (I, H))
    h0 = rng.standard_normal((1, H) if known.S == 1 else (known.S, 1, H))
    x = torch.from_numpy(rng.standard_normal((T, 1, I)))
    layer = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}.get(cell, torch.nn.RNN)(I, H, bias=False).double()
    layer.load_state_dict({"weight_ih_l0": torch.from_numpy(w_ih), "weight_hh_l0": torch.from_numpy(w_hh)})

    def states(s: Any) -> Any:
        if known.S == 1:
            return layer(x, s)[1].ravel()
        return torch.cat(layer(x, (s[:1], s[1:]))[1]).ravel()

    whole = torch.autograd.functional.jacobian(states, torch.from_numpy(h0.reshape(known.S, 1, H)))
    trace, w_hh_again = traced(cell)
    np.testing.assert_array_equal(w_hh, w_hh_again)
    norm = float(torch.linalg.norm(whole.reshape(known.S * H, known.S * H)))
    assert 10 ** flow(trace, w_hh).log_frobenius[0] == pytest.approx(norm, rel=1e-9)


@pytest.mark.parametrize(("factor", "word"), [(0.5, "vanishes"), (2.0, "explodes"), (1.0, "holds")])
def test_five_thousand_steps_neither_underflow_nor_overflow(factor: float, word: str) -> None:
    """The norm after 5,000 steps is that of the equation, far outside of what float64 holds."""
    trace, w_hh = scaling([factor, factor / 4], 5000)
    found = flow(trace, w_hh)
    assert found.log_spectral is not None
    np.testing.assert_allclose(found.log_spectral, np.arange(5000, -1, -1) * np.log10(factor), rtol=1e-9, atol=1e-9)
    assert found.log_frobenius[-1] == pytest.approx(np.log10(2) / 2)
    assert found.rate == pytest.approx(factor)
    assert found.verdict.startswith(word)
    assert found.half_life == (np.inf if factor == 1 else pytest.approx(1))


def test_where_nothing_arrives_the_norm_is_zero() -> None:
    """Units that were off at one step let nothing of the past through: −inf before, and a verdict that says so."""
    trace, w_hh = scaling([0.5], 20)
    trace.hidden[11] = 0
    found = flow(trace, w_hh)
    assert np.isneginf(found.log_frobenius[:12]).all()
    assert np.isfinite(found.log_frobenius[12:]).all()
    assert found.verdict == "vanishes: a factor 0.50 a step, half gone after 1 step, 0 after 9"


def test_the_spectral_norm_can_be_left_out() -> None:
    """Without spectral norms the rate and the verdict are those of Frobenius norms, from 1 at the end."""
    trace, w_hh = traced("gru")
    found = flow(trace, w_hh, spectral=False)
    assert found.log_spectral is None
    np.testing.assert_allclose(
        found.by_distance, found.log_frobenius[::-1] - np.log10(H) / 2, atol=1e-12
    )  # 0 at the end
    assert found.rate == pytest.approx(flow(trace, w_hh).rate, rel=0.1)


def test_an_empty_row_has_nothing_to_tell() -> None:
    """Without a step there is the norm of the identity, no rate and no exponent."""
    trace, w_hh = traced("rnn_tanh", T=0)
    found = flow(trace, w_hh)
    assert found.log_frobenius == pytest.approx([np.log10(H) / 2])
    assert "no step" in found.verdict
    assert np.isnan(found.rate)
    assert np.isnan(lyapunov(trace, w_hh)).all()
    assert factors(trace, w_hh).factor.shape == (0,)


@pytest.mark.parametrize("cell", CELLS)
def test_factors_bound_the_product(cell: str) -> None:
    """A step's factor is the norm of its Jacobian, within its bound; their product bounds the norm of the whole."""
    trace, w_hh = traced(cell)
    found = factors(trace, w_hh)
    np.testing.assert_allclose(found.factor, np.linalg.norm(jacobians(trace, w_hh), 2, axis=(1, 2)))
    assert (found.factor <= found.bound + 1e-12).all()
    spectral = flow(trace, w_hh).log_spectral
    assert spectral is not None
    assert spectral[0] <= np.log10(found.factor).sum() + SPECTRAL


def test_the_bound_of_the_vanilla_rnn() -> None:
    """For tanh it is ‖U‖ times the largest 1 − h²."""
    trace, w_hh = traced("rnn_tanh")
    expected = np.linalg.norm(w_hh, 2) * (1 - trace.hidden[:, 0] ** 2).max(axis=1)
    np.testing.assert_allclose(factors(trace, w_hh).bound, expected)


def test_the_bound_of_the_gru() -> None:
    """It is the largest z and, for each gate, the largest slope times the norm of its block of U, added up."""
    trace, w_hh = traced("gru")
    r, z, n, hn = (trace.values[name][:, 0] for name in ("reset", "update", "candidate", "hn"))
    h, by_n = trace.walk().previous, (1 - z) * (1 - n**2)
    slopes = [by_n * hn * r * (1 - r), (h - n) * z * (1 - z), by_n * r]
    norms = np.linalg.norm(w_hh.reshape(3, H, H), 2, axis=(1, 2))
    expected = z.max(axis=1) + sum(norm * np.abs(s).max(axis=1) for norm, s in zip(norms, slopes, strict=True))
    np.testing.assert_allclose(factors(trace, w_hh).bound, expected)


@pytest.mark.parametrize("scale", [0.05, 1.0, 5.0])
@pytest.mark.parametrize("cell", [*CELLS, "gru reset=before candidate=relu gate=hard_sigmoid", "gru update=off"])
def test_no_factor_exceeds_its_bound(cell: str, scale: float) -> None:
    """Whatever the cell and the size of its weights, no step's Jacobian has a larger norm than its bound."""
    trace, w_hh = traced(cell, scale, T=20)
    found = factors(trace, w_hh)
    assert (found.factor <= found.bound * (1 + 1e-12) + 1e-12).all()
    assert (found.bound < 40 * np.maximum(found.factor, scale)).all()


def test_lyapunov_exponents_of_known_rates() -> None:
    """Units that grow or fade each at a rate of its own have the logarithms of these rates as exponents."""
    trace, w_hh = scaling([0.5, 1.2, 0.9, 0.1], 400)
    np.testing.assert_allclose(lyapunov(trace, w_hh, count=3), np.log([1.2, 0.9, 0.5]), atol=1e-3)


@pytest.mark.parametrize("cell", ["gru", "rnn_tanh", "lstm", "gru reset=before"])
def test_lyapunov_exponents_add_up_to_the_volume(cell: str) -> None:
    """All exponents together are the mean logarithm of the Jacobians' determinants; the first is that of the rate."""
    trace, w_hh = traced(cell, T=400)
    exponents = lyapunov(trace, w_hh, count=trace.cell.S * H)
    _, volumes = np.linalg.slogdet(jacobians(trace, w_hh)[:300])
    assert exponents.sum() == pytest.approx(volumes.mean(), rel=1e-9)
    assert (np.diff(exponents) <= 0).all()
    assert np.exp(exponents[0]) == pytest.approx(flow(trace, w_hh).rate, rel=0.02)


def model(layers: int = 1, directions: int = 1, summary: str = "last", cell: str = "gru", C: int = 3) -> TextModel:
    """A model with random weights that knows nine words."""
    tokenizer = Tokenizer.train(["a fine and a dull film"], min_frequency=1)
    sizes: dict[str, Any] = {
        "embedding_size": I,
        "hidden_size": H,
        "num_layers": layers,
        "bidirectional": directions == 2,
    }
    labels = ("no", "maybe", "yes")[:C]
    config = TextConfig(cell=cell, labels=labels, vocab_size=len(tokenizer), summary=summary, **sizes)
    letters = {"G·H": Cell.of(cell).G * H, "I": I, "H": H, "D·H": directions * H}
    shapes = {
        f"rnn.{name}": tuple(letters[axis] for axis in axes.split())
        for name, axes in parameter_letters(layers, directions == 2, bias=True).items()
    }
    shapes |= {"embedding.weight": (len(tokenizer), I), "head.weight": (C, config.summary_size), "head.bias": (C,)}
    rng = np.random.default_rng(layers)
    return TextModel(config, tokenizer, {n: rng.standard_normal(s).astype(np.float32) / 2 for n, s in shapes.items()})


TEXT = "a fine film and a dull film and a film"


def test_each_layer_and_direction_has_a_flow() -> None:
    """Flows come in the order of the traces, each with the state weights of its own layer."""
    both = model(2, 2)
    found, traces = flows(both, TEXT), both.trace(TEXT)
    assert len(found) == 4
    for one, trace, name in zip(found, traces, ["l0", "l0_reverse", "l1", "l1_reverse"], strict=True):
        expected = flow(trace, both.arrays[f"rnn.weight_hh_{name}"])
        np.testing.assert_array_equal(one.log_frobenius, expected.log_frobenius)
        assert isinstance(one, GradientFlow)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("summary", ["last", "mean", "max", "mean+max"])
@pytest.mark.parametrize(("layers", "directions"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_loss_gradients_equal_autograd(layers: int, directions: int, summary: str, cell: str) -> None:
    """The norms by every input are torch's, whatever stack and summary; each state has one too."""
    torch = pytest.importorskip("torch")
    ours = model(layers, directions, summary, cell)
    assert ours.stack is not None
    kind = torch.nn.LSTM if cell == "lstm" else torch.nn.GRU
    layer = kind(I, H, layers, bidirectional=directions == 2)
    layer.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in ours.stack.weights.items()})
    x = torch.from_numpy(ours.embed(TEXT).x).requires_grad_()
    y, last = layer(x)
    h_n = last[0] if cell == "lstm" else last
    parts = {"last": h_n[-directions:].flatten(), "mean": y.mean(0)[0], "max": y.max(0).values[0]}
    vector = torch.cat([parts[part] for part in summary.split("+")])
    logits = vector @ torch.from_numpy(ours.head_weight.copy()).T + torch.from_numpy(ours.head_bias.copy())
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(2))
    loss.backward()
    found = loss_gradients(ours, TEXT, "yes")
    assert found.value == pytest.approx(float(loss.detach()), rel=1e-5)
    np.testing.assert_allclose(10**found.log_input, x.grad.norm(dim=2)[:, 0].numpy(), rtol=1e-3)
    assert [len(log) for log in found.log_hidden] == [len(x) + 1] * layers * directions


@pytest.mark.parametrize("t", [1, 4, 6])
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_by_states_equal_autograd(cell: str, t: int) -> None:
    """∂loss/∂h_t, or ∂loss/∂(h_t, c_t), of one layer is torch's at the start, in the middle and near the end."""
    torch = pytest.importorskip("torch")
    from tidegate.torch.cells import step

    ours = model(summary="mean", cell=cell)
    found = loss_gradients(ours, TEXT, 0)
    assert ours.stack is not None
    known, x = ours.stack.cell, torch.from_numpy(ours.embed(TEXT).x)
    w_ih, w_hh, b_ih, b_hh = (torch.from_numpy(array.copy()) for array in ours.stack.weights.values())
    states, outputs = list(torch.zeros(known.S, 1, H)), []
    for i, x_i in enumerate(x):
        states = list(step(known, x_i @ w_ih.T + b_ih, lambda v: v @ w_hh.T + b_hh, states)[0])
        if i + 1 == t:
            states = leaves = [state.detach().requires_grad_() for state in states]
        outputs.append(states[0])
    mean = torch.stack(outputs).sum(0) / len(x)
    head, bias = (torch.from_numpy(ours.arrays[f"head.{name}"].copy()) for name in ("weight", "bias"))
    torch.nn.functional.cross_entropy(mean @ head.T + bias, torch.tensor([0])).backward()
    norm = float(torch.cat([leaf.grad.ravel() for leaf in leaves]).norm())
    assert 10 ** found.log_hidden[0][t] == pytest.approx(norm, rel=1e-3)


def test_loss_gradients_of_a_long_text_do_not_underflow() -> None:
    """A rate of ½ over 3,000 steps leaves the loss gradient of the first word at its true, tiny size."""
    weights = {"weight_ih_l0": np.eye(1), "weight_hh_l0": np.array([[0.5]]), "bias_ih_l0": [0.0], "bias_hh_l0": [0.0]}
    tokenizer = Tokenizer.train(["a b"], min_frequency=1)
    config = TextConfig(
        cell="rnn_relu", labels=("no", "yes"), vocab_size=len(tokenizer), embedding_size=1, hidden_size=1
    )
    arrays = {f"rnn.{name}": np.array(array, np.float32) for name, array in weights.items()}
    arrays |= {"head.weight": np.array([[0], [1]], np.float32), "head.bias": np.zeros(2, np.float32)}
    one = TextModel(config, tokenizer, arrays | {"embedding.weight": np.ones((len(tokenizer), 1), np.float32)})
    found = loss_gradients(one, np.ones((3000, 1)), "yes", of="logit")
    np.testing.assert_allclose(found.log_input, np.arange(2999, -1, -1) * np.log10(0.5), atol=1e-9)
    assert found.value == pytest.approx(2)


def test_a_sure_model_still_has_a_gradient() -> None:
    """With a probability that rounds to 1, the loss and its gradient are tiny and not 0."""
    sure = model(C=2)
    arrays = dict(sure.arrays) | {"head.bias": np.array([0, 60], np.float32)}
    found = loss_gradients(TextModel(sure.config, sure.tokenizer, arrays), TEXT)
    assert found.label == "maybe"
    assert 0 < found.value < 1e-20
    assert np.isfinite(found.log_input).all()


def test_a_sure_model_that_is_wrong_has_its_loss() -> None:
    """However far the class asked for is behind, the loss is the distance to the one predicted, and finite."""
    sure = model(C=2)
    arrays = dict(sure.arrays) | {"head.bias": np.array([0, 5000], np.float32)}
    sure = TextModel(sure.config, sure.tokenizer, arrays)
    found = loss_gradients(sure, TEXT, "no")
    yes, no = (loss_gradients(sure, TEXT, label, of="logit").value for label in ("maybe", "no"))
    assert found.value == pytest.approx(yes - no)
    assert found.value > 4000
    assert np.isfinite(found.log_input).all()


def test_a_class_is_given_by_name_or_index() -> None:
    """Names, indices and the predicted class mean the same class; others are refused with what there is."""
    three = model()
    predicted = str(three.predict([TEXT])[0])
    by_name, by_index = loss_gradients(three, TEXT, predicted), loss_gradients(three, TEXT)
    assert by_index.label == by_name.label == predicted
    assert loss_gradients(three, TEXT, three.config.labels.index(predicted)).value == by_name.value
    for wrong in ("perhaps", 3, -1):
        with pytest.raises(ValueError, match=r"expected 0\.\.2 or one of 'no', 'maybe', 'yes'"):
            loss_gradients(three, TEXT, wrong)
    with pytest.raises(ValueError, match="of is 'score'"):
        loss_gradients(three, TEXT, of="score")


def test_an_empty_text_has_the_gradient_of_its_initial_state() -> None:
    """Without a word the last state is the initial one, and there is no input."""
    found = loss_gradients(model(2, 2), "")
    assert found.log_input.shape == (0,)
    assert all(log.shape == (1,) for log in found.log_hidden)
    assert np.isfinite(found.log_hidden[-1]).all()
    assert np.isneginf(found.log_hidden[0]).all()


def test_a_model_without_a_recurrence_is_refused(tiny_model: Path) -> None:
    """An average has no gradient flow, and the error says why."""
    gru = tidegate.load(tiny_model, tidegate.TextModel)
    sizes: dict[str, Any] = {"vocab_size": gru.config.vocab_size, "embedding_size": 4}
    arrays = {"embedding.weight": gru.arrays["embedding.weight"], "head.bias": gru.arrays["head.bias"]}
    arrays["head.weight"] = np.ones((2, 4), np.float32)
    average = TextModel(TextConfig(cell="average", labels=gru.config.labels, **sizes), gru.tokenizer, arrays)
    for function in (flows, loss_gradients):
        with pytest.raises(ValueError, match="'average' has no recurrent layer"):
            function(average, "a film")
