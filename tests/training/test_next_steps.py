"""What is trained on and judged by where the next steps are predicted, and simple forecasts of them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

import tidegate
from tidegate.convert.samples import expanded
from tidegate.models.metrics.steps import score_binary_steps, score_steps
from tidegate.models.sequence_model import SequenceModel
from tidegate.training.baselines.forecasts import find_season, forecasts, linear, seasonal
from tidegate.training.data.corpus import Corpus
from tidegate.training.data.next_steps import prepare_steps
from tidegate.training.network.losses import LOSSES

QUICK: dict[str, Any] = {"hidden_size": 8, "epochs": 2, "batch_size": 8, "learning_rate": 0.02}


def foreseer(data: Any, **settings: Any) -> SequenceModel:
    """A quickly trained model of the next steps."""
    model = tidegate.fit(data, task="next", **QUICK | settings)
    assert isinstance(model, SequenceModel)
    return model


def walks(count: int = 20, steps: int = 12, features: int = 2) -> list[np.ndarray[Any, Any]]:
    """Random walks [T, K] in units of their own."""
    rng = np.random.default_rng(0)
    return [100 + rng.normal(size=(steps + b % 3, features)).cumsum(axis=0) for b in range(count)]


@pytest.mark.parametrize("horizon", [1, 3])
def test_each_step_has_what_follows_it(horizon: int) -> None:
    """Inputs are scaled, targets are not, and both are of the same sequences."""
    data = walks()
    examples = prepare_steps(data, horizon=horizon, validation=0.2, names=["a", "b"])
    assert (len(examples.train), len(examples.validation)) == (16, 4)
    first, features = data[examples.rows[0]], examples.features
    steps = len(first) - horizon
    np.testing.assert_allclose(examples.train.corpus.row(0), features.read("x", first[:-horizon]))
    expected = [first[t + 1 : t + 1 + horizon].ravel() for t in range(steps)]
    np.testing.assert_allclose(examples.train.targets[:steps], expected, rtol=1e-6)
    assert examples.config().horizon == horizon
    assert len(examples.labels) == 2 * horizon


def test_the_ends_of_few_sequences_are_held_out() -> None:
    """Of a single sequence the last tenth is judged; the network has not read it."""
    x = np.arange(100.0)[:, None]
    examples = prepare_steps([x], validation=0.1)
    assert examples.train.targets.max() == 89
    assert examples.validation.targets.ravel().tolist() == list(range(91, 100))


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        ([np.array([[1.0], [np.nan], [2.0]])] * 9, {}, r"sequences\[0\] has nan at step 1, feature 0, .* fill gaps"),
        (walks(), {"horizon": 0}, "horizon is 0"),
        (walks(), {"horizon": 20}, "the longest sequence has 14 steps, expected more than the horizon, 20"),
        (walks(2, 3), {}, "the shortest of 2 sequences has 3 steps, of which 10% cannot be held out"),
        (walks(), {"validation": 1.5}, "validation share is 1.5"),
        (walks(), {"task": "next-binary"}, "other numbers than 0 and 1"),
        (walks(), {"labels": [0, 1] * 10}, "labels are given, but the task is 'next'"),
        (walks(), {"sample_weight": np.ones(20)}, "sample_weight is given, but the steps"),
        (walks(), {"cell": "average"}, "needs a recurrent cell"),
        (walks(), {"task": "regression"}, "there are no labels, but the task is 'regression'"),
    ],
)
def test_what_cannot_be_meant_is_refused(data: Any, settings: dict[str, Any], message: str) -> None:
    """Gaps, sequences that are too short, labels and texts are errors that name what was found."""
    with pytest.raises(ValueError, match=message):
        tidegate.fit(data, **{"task": "next", **settings})


def test_forecasts_of_a_model_go_on_from_its_predictions() -> None:
    """To forecast several steps is to predict one, to append it, and to predict the next; all steps agree with that."""
    data = walks()
    model = foreseer(data)
    two = model.forecast(data[:3], steps=2)
    np.testing.assert_allclose(two[:, 0], model.predict(data[:3]), rtol=1e-6)
    longer = [np.concatenate([x, step[:1]]) for x, step in zip(data[:3], two, strict=True)]
    np.testing.assert_allclose(two[:, 1], model.predict(longer), rtol=1e-5)
    for x, values in zip(data[:3], model.predict_steps(data[:3]), strict=True):
        assert values.shape == x.shape
        np.testing.assert_allclose(values[4], model.predict([x[:5]])[0], rtol=1e-5)
    with pytest.raises(ValueError, match="steps is 0"):
        model.forecast(data, steps=0)
    with pytest.raises(ValueError, match=r"steps is 2\.5, expected an integer of 1 or more"):
        model.forecast(data, 2.5)  # type: ignore[arg-type]


def test_changes_are_predicted_where_the_last_step_is_a_good_forecast() -> None:
    """Walks are predicted as changes and noise as it is, unless the user says otherwise; streams have the same bits."""
    rng, data = np.random.default_rng(0), walks()
    model = foreseer(data, horizon=2)
    assert model.config.residual
    assert not foreseer([rng.normal(size=(12, 2)) for _ in range(20)]).config.residual
    assert not foreseer(data, residual=False).config.residual
    last = np.tile(data[0][-1], 2)
    np.testing.assert_allclose(model.predict(data[:1])[0], last, atol=5)  # 100 ± steps of 1, after two epochs
    session = model.stream()
    for piece in (data[0][:3], data[0][3:4], data[0][4:]):
        session.push(piece)
    np.testing.assert_array_equal(session.scores, model.scores(data[:1])[0])
    with pytest.raises(ValueError, match="differ from the last one, which only a file of ONNX adds"):
        expanded(model)
    for wrong in ({"task": "regression", "horizon": 1}, {"missing": (1,)}):
        with pytest.raises(ValueError, match="residual is True, but the model has"):
            replace(model.config, **wrong)


def test_long_sequences_are_trained_on_in_parts() -> None:
    """Each step is read once, with all that follows it, and what is judged by stays whole."""
    x = np.arange(1001.0)[:, None]
    examples = prepare_steps([x, x[:150]], horizon=2, validation=[x])
    assert examples.train.corpus.lengths.tolist() == [200, 200, 200, 200, 199, 148]
    np.testing.assert_array_equal(examples.train.targets[:999], np.stack([x[1:-1, 0], x[2:, 0]], axis=1))
    assert examples.validation.corpus.lengths.tolist() == [999]


def test_a_wild_number_counts_less_by_hubers_loss() -> None:
    """It is half the square of an error up to 1 and linear from there on, and a loss of numbers alone."""
    errors = torch.tensor([[0.5], [-3.0]])
    found = LOSSES["huber"](errors, torch.zeros(2, 1), None, None)
    assert float(found) == pytest.approx((0.125 + 2.5) / 2)
    x = np.random.default_rng(0).normal(size=(64, 3, 1))
    y = x[:, -1, 0].copy()
    y[::8] += 30
    errors_by = {}
    for loss in ("standard", "huber"):
        model = tidegate.fit(x, y, task="regression", validation=0, loss=loss, **QUICK | {"epochs": 12})
        errors_by[loss] = np.median(np.abs(model.predict(x) - x[:, -1, 0]))
    assert errors_by["huber"] < errors_by["standard"]
    with pytest.raises(ValueError, match="loss is 'huber', which is a loss of numbers, but the task is 'classific"):
        tidegate.fit(x, y > 0, loss="huber", **QUICK)


def test_a_model_judges_as_training_did() -> None:
    """The scores of the model file are those that numpy computes from the model's own predictions, 0/1 or not."""
    rng = np.random.default_rng(0)
    rolls = [(rng.random((9, 3)) < 0.3).astype(float) for _ in range(20)]
    for data, score, measure in ((walks(), score_steps, "rmse"), (rolls, score_binary_steps, "nll")):
        model = foreseer(data, validation=(data[:5], None))  # the same as the data alone
        found = np.concatenate([values[:-1] for values in model.predict_steps(data[:5])])
        report = score(np.concatenate([x[1:] for x in data[:5]]), found, model.labels)
        assert getattr(report, measure) == pytest.approx(model.metrics[measure], rel=1e-4)


def test_classes_read_the_first_axis_as_channels() -> None:
    """With channels first, forecasts are still steps of features."""
    data = walks()
    model, turned = foreseer(data), foreseer([x.T for x in data], layout="channels_first")
    np.testing.assert_array_equal(model.forecast(data[:2], 3), turned.forecast([x.T for x in data[:2]], 3))


def test_the_loss_of_binary_steps_is_that_of_the_report() -> None:
    """The likelihood is summed over the features of a step, as in Boulanger-Lewandowski et al. (2012)."""
    truth, p = np.array([[1, 0], [0, 0]]), np.array([[0.8, 0.4], [0.1, 0.5]])
    report = score_binary_steps(truth, p, ["a", "b"])
    assert report.nll == pytest.approx(-np.log([0.8, 0.6, 0.9, 0.5]).sum() / 2)
    assert report.frame_accuracy == 0.5
    with pytest.raises(ValueError, match="there is no row to score"):
        score_binary_steps(truth[:0], p[:0], ["a", "b"])


def test_seasons_are_found() -> None:
    """A season is the first high peak of the autocorrelation; noise and a trend have none."""
    t = np.arange(200)
    rng = np.random.default_rng(0)
    wave = np.sin(2 * np.pi * t / 12)[:, None] + rng.normal(0, 0.2, (200, 1))
    assert find_season(Corpus.from_rows([wave.astype(np.float32)])) == 12
    for other in (rng.normal(size=(200, 1)), t[:, None] / 100):
        assert find_season(Corpus.from_rows([other.astype(np.float32)])) == 1


def test_a_season_may_be_longer_than_a_part() -> None:
    """Simple forecasts are fitted to whole sequences, also where the network is trained on parts of 200 steps."""
    rng = np.random.default_rng(0)
    season = np.tile(rng.normal(size=150), 20)[:, None]
    examples = prepare_steps([season, season[:20], season[1:2]], validation=[season])
    assert [len(examples.train.corpus.row(b)) for b in (0, 14, 15)] == [200, 199, 19]
    assert examples.whole.corpus.lengths.tolist() == [2999, 19]
    assert list(forecasts(examples)) == ["last value", "seasonal naive (150)", "linear"]


def test_seasonal_forecasts_stay_in_their_sequence() -> None:
    """What was a season ago is repeated; before that, and with a season of 1, it is the last value."""
    corpus = Corpus.from_rows([np.arange(4.0)[:, None], 10 + np.arange(3.0)[:, None]])
    assert seasonal(corpus, 1, 2).tolist() == [[v, v] for v in (0, 1, 2, 3, 10, 11, 12)]
    assert seasonal(corpus, 2, 3).tolist()[:4] == [[0, 0, 0], [0, 1, 0], [1, 2, 1], [2, 3, 2]]
    assert seasonal(corpus, 2, 1).tolist()[4:] == [[10], [10], [11]]


def test_linear_forecasts_find_linear_laws() -> None:
    """Steps that follow a law of the 8 steps before them are foreseen; the last value does not foresee them."""
    x = [np.sin(np.arange(40) * 0.7 + b)[:, None] * 5 + 3 for b in range(12)]
    examples = prepare_steps(x, validation=0.25)
    held = examples.validation
    known = np.concatenate([np.arange(length) >= 7 for length in held.corpus.lengths])
    found = linear(examples.train)(held.corpus)
    assert score_steps(held.targets[known], found[known], ["wave"]).r2 > 0.99999
    last = held.corpus.steps * examples.features.scale + examples.features.center
    assert score_steps(held.targets[known], last[known], ["wave"]).r2 < 0.6


def test_the_first_steps_of_a_linear_forecast_are_padded_by_the_first() -> None:
    """Before the eighth step the first one stands for those that are missing: no linear model of these is better."""
    x = np.stack([np.sin(np.arange(40) * 0.7 + b) * 5 + 3 for b in range(12)])
    padded = np.pad(x[:, :-1], ((0, 0), (7, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 8, axis=1)
    windows = np.concatenate([windows, np.ones((*windows.shape[:2], 1))], axis=2)
    examples = prepare_steps(x[..., None], validation=0.25)
    kept = examples.rows
    held = np.setdiff1d(np.arange(12), kept)
    truth = x[:, 1:]
    weights = np.linalg.lstsq(windows[kept].reshape(-1, 9), truth[kept].ravel(), rcond=None)[0]
    best = score_steps(truth[held].reshape(-1, 1), (windows[held] @ weights).reshape(-1, 1), ["wave"])
    assert forecasts(examples)["linear"].r2 == pytest.approx(best.r2, abs=1e-3)


def test_a_network_starts_at_the_frequencies_of_ones() -> None:
    """Before it has learned anything, the probability of each key is about how often it is struck."""
    rng = np.random.default_rng(0)
    rolls = [(rng.random((30, 4)) < (0.02, 0.1, 0.5, 0.0)).astype(np.float32) for _ in range(20)]
    model = foreseer(rolls, learning_rate=1e-12, weight_decay=0.0, epochs=1)
    found = np.concatenate(model.predict_steps(rolls)).mean(axis=0)
    np.testing.assert_allclose(np.log(found[:3]), np.log(np.concatenate(rolls).mean(axis=0)[:3]), atol=0.4)
    assert 0 < found[3] < 0.01
