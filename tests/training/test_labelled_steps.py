"""Sequences with a label at each step: what is held out, what the network learns, and what it must beat."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import tidegate
from tidegate.models.metrics.reports import score
from tidegate.models.metrics.steps import score_labelled_steps
from tidegate.models.tasks import TASKS
from tidegate.training.baselines.baselines import baselines
from tidegate.training.data.labelled_steps import prepare_labelled_steps
from tidegate.training.settings import Settings

Array = np.ndarray[Any, Any]


def switches(count: int, seed: int = 0) -> tuple[list[Array], list[list[str]]]:
    """Pulses up or down, with pauses of up to 30 steps; the label of a step is the direction of the last pulse."""
    rng = np.random.default_rng(seed)
    sequences, labels = [], []
    for _ in range(count):
        x = np.where(rng.random(n := rng.integers(40, 60)) < 0.1, rng.choice([-1.0, 1.0], n), 0.0)
        x[0] = rng.choice([-1.0, 1.0])
        last = x[np.maximum.accumulate(np.where(x != 0, np.arange(n), 0))]
        sequences.append(np.stack([10 + 3 * x, rng.normal(size=n)], axis=1))
        labels.append(["up" if each > 0 else "down" for each in last])
    return sequences, labels


@pytest.fixture(scope="module")
def model() -> Any:
    """A network that has learned what the last pulse was."""
    sequences, labels = switches(120)
    how: dict[str, Any] = {"hidden_size": 8, "epochs": 12, "learning_rate": 0.03, "batch_size": 16}
    return tidegate.fit(sequences, labels, task="labelling", baselines=True, **how)


def test_a_label_is_that_of_all_steps_so_far(model: Any) -> None:
    """A label that depends on a step long ago is found; what reads the last eight steps only is worse."""
    sequences, labels = switches(20, seed=1)
    found = model.label_steps(sequences)
    right = np.concatenate([each == np.array(known) for each, known in zip(found, labels, strict=True)])
    assert right.mean() > 0.95
    assert model.config.task == "labelling"
    assert set(model.metrics["baselines"]) == {"frequency", "linear"}
    linear = model.metrics["baselines"]["linear"]["macro_f1"]
    assert model.metrics["baselines"]["frequency"]["macro_f1"] < linear < 0.9 < model.metrics["macro_f1"]


def test_the_answer_about_a_sequence_is_that_of_its_last_step(model: Any) -> None:
    """`predict`, streams and `explain` say of a beginning what `predict_steps` says of its last step, to the bit."""
    (x,), _ = switches(1, seed=2)
    by_step = model.predict_steps([x])[0]
    session = model.stream()
    for t in range(len(x)):
        assert np.array_equal(session.push(x[t]).probabilities, by_step[t])
    assert np.array_equal(model.predict_proba([x])[0], by_step[-1])
    assert model.predict([x])[0] == model.label_steps([x])[0][-1]
    assert np.allclose(model.explain(x).probabilities, by_step[-1], atol=1e-5)


def test_a_model_of_sequences_labels_no_steps() -> None:
    """Of a classifier the labels of steps are an error, and of a labeller the steps that follow."""
    config: dict[str, Any] = {"cell": "gru", "hidden_size": 2, "features": 1, "labels": ("a", "b")}
    for task, method, expected in (
        ("classification", "label_steps", "expected one that labels steps"),
        ("classification", "predict_steps", "expected one that foresees or labels steps"),
        ("labelling", "forecast", "expected one that foresees steps"),
    ):
        made = tidegate.SequenceConfig(**config, task=task)
        arrays = {name: np.ones(shape, np.float32) for name, shape in made.shapes().items()}
        with pytest.raises(ValueError, match=expected):
            getattr(tidegate.SequenceModel(made, arrays), method)([np.zeros((3, 1))])


def test_steps_are_labelled_or_foreseen() -> None:
    """A task about each step is either; no other labels steps."""
    assert [name for name, task in TASKS.items() if task.labels_steps] == ["labelling"]
    assert all(task.foresees != task.labels_steps for task in TASKS.values() if task.each_step)


def test_a_labeller_reads_forward() -> None:
    """A network in both directions, or one that sums up by a mean, is refused: a label is of what has come so far."""
    for wrong in ({"bidirectional": True}, {"summary": "mean"}, {"cell": "average"}):
        fields: dict[str, Any] = {"cell": "gru", "hidden_size": 2, "features": 1, "labels": ("a", "b")} | wrong
        with pytest.raises(ValueError, match="needs a recurrent cell that reads forward"):
            tidegate.SequenceConfig(**fields, task="labelling")


def test_whole_sequences_are_held_out_or_the_ends_of_few() -> None:
    """A share of many is held out with its labels; of a single long one its end, and it is trained on in parts."""
    sequences, labels = switches(10)
    examples = prepare_labelled_steps(sequences, labels, validation=0.2)
    assert (len(examples.rows), len(examples.validation)) == (8, 2)
    assert examples.train.targets.tolist() == [
        ("down", "up").index(label) for b in examples.rows for label in labels[b]
    ]
    long, of_it = np.concatenate(sequences), [label for each in labels for label in each]
    few = prepare_labelled_steps([long], [of_it], validation=0.2)
    judged = round(0.2 * len(long))
    assert few.validation.corpus.lengths.tolist() == [judged]
    assert few.train.corpus.lengths.tolist() == [200, 200, len(long) - judged - 400]
    assert few.validation.targets.tolist() == [("down", "up").index(label) for label in of_it[-judged:]]


def test_the_shortest_sequences_have_a_step_in_each_part() -> None:
    """A label needs no step that follows it: two steps are enough, one to train on and one to judge by."""
    examples = prepare_labelled_steps([np.zeros((2, 1))] * 2, [["a", "b"], ["b", "a"]], validation=0.2)
    assert examples.train.targets.tolist() == [0, 1]
    assert examples.validation.targets.tolist() == [1, 0]
    with pytest.raises(ValueError, match="the shortest of 2 sequences has 1 steps, of which 20% cannot be held out"):
        prepare_labelled_steps([np.zeros((1, 1))] * 2, [["a"], ["b"]], validation=0.2)


def test_gaps_are_filled_before_a_sequence_is_cut() -> None:
    """A value is carried into the next part of a long sequence; labels keep their type."""
    x = np.arange(450.0)[:, None]
    x[195:205] = np.nan
    labels = (np.arange(450) % 3 == 0).tolist()
    examples = prepare_labelled_steps([x], [labels], validation=0)
    scaled = examples.features.unscaled(examples.train.corpus.steps[:, :1])[:, 0]
    assert np.allclose(scaled[195:205], 194, atol=1e-3)
    assert (examples.labels, examples.classes) == (("false", "true"), (False, True))


def test_steps_are_compared_in_blocks() -> None:
    """Neighbouring steps are alike, so the doubt about a difference is that of blocks of them."""
    rng = np.random.default_rng(0)
    truth, probabilities = rng.integers(2, size=5000), rng.random((5000, 1))
    probabilities = np.concatenate([probabilities, 1 - probabilities], axis=1)
    one, other = (
        score_labelled_steps(truth, probabilities, "ab"),
        score_labelled_steps(truth, probabilities[::-1], "ab"),
    )
    assert len(one.gains(other)) == 1000
    assert one.gains(other).mean() == pytest.approx(100 * (one.accuracy - other.accuracy))
    assert one.as_dict() == score(truth, probabilities, "ab").as_dict()


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([["a", "b"], ["a"]], {}, r"sequence 2 has 1 labels for 2 steps, expected one for each"),
        ([["a", "b"]], {}, r"found labels of 1 sequences, expected 2"),
        ([["a", "a"], ["a", "a"]], {}, r"found 1 label\(s\)"),
        ([["a", None], ["a", "b"]], {}, r"row 2 has no label"),
        ([["a", "b"], ["a", "b"]], {"sample_weight": [1, 2]}, "steps that are foreseen or labelled all count the same"),
        ([["a", "b"], ["a", "b"]], {"watch_gradients": True}, "watch_gradients measures the loss of classes"),
        (None, {}, "there are no labels, but the task is 'labelling'"),
    ],
)
def test_what_cannot_be_learned_is_an_error(labels: Any, options: dict[str, Any], message: str) -> None:
    """Labels that are not those of the steps, and settings that do nothing here, are refused before training."""
    with pytest.raises(ValueError, match=message):
        tidegate.fit(np.zeros((2, 2, 1)), labels, task="labelling", validation=0, hidden_size=2, **options)


@pytest.mark.parametrize("labels", [[0, 1], ["ab", "ba"], np.array([0, 1])])
def test_one_label_of_each_sequence_is_an_error(labels: Any) -> None:
    """It is none of a step, even if it has as many letters as there are steps; likewise of what is judged by."""
    x, wanted = np.zeros((2, 2, 1)), "expected a list, a tuple or an array of 2 labels, one for each step"
    with pytest.raises(TypeError, match=rf"the training part: the labels of sequence 1 are .*{labels[0]}.*, {wanted}"):
        tidegate.fit(x, labels, task="labelling", validation=0)
    with pytest.raises(TypeError, match=rf"the validation part: the labels of sequence 1 are .*, {wanted}"):
        tidegate.fit(x, np.array([[0, 1], [1, 0]]), task="labelling", validation=(x, labels))


def test_an_unknown_label_is_located() -> None:
    """It is that of a step of a sequence, here of the first after one without a step and of a last one."""
    sequences, known = [np.zeros((T, 1)) for T in (2, 0, 3)], ["ab", "", "aba"]
    for judged, place in ((["ab", "", "zba"], "step 1 of sequence 3"), (["az", "", "aba"], "step 2 of sequence 1")):
        held = (sequences, [list(each) for each in judged])
        with pytest.raises(ValueError, match=f"^the validation part: {place} has the label 'z', expected one of 'a'"):
            prepare_labelled_steps(sequences, [list(each) for each in known], validation=held)


def test_a_label_in_the_held_out_part_alone_is_an_error() -> None:
    """It could not be learned; the message names it."""
    with pytest.raises(ValueError, match="the label 'c' is in the validation part only"):
        prepare_labelled_steps([np.zeros((20, 1))], [["a", "b"] * 9 + ["c", "c"]], validation=0.2)


def test_texts_have_no_steps_of_numbers() -> None:
    """They are refused, and so is a front-end."""
    with pytest.raises(ValueError, match="'labelling', which is about steps of numbers, but the data are texts"):
        tidegate.fit(["a b", "b a"], [["x", "y"], ["y", "x"]], task="labelling")
    with pytest.raises(ValueError, match="frontend is given, but the task is 'labelling'"):
        tidegate.fit(np.zeros((2, 2, 1)), [["x", "y"], ["y", "x"]], task="labelling", frontend="logmel", validation=0)


def test_baselines_are_judged_by_the_same_steps() -> None:
    """The frequency of each label, and a linear model that reads eight steps, which finds a label of the last one."""
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(30, 2)) for _ in range(20)]
    labels = [["ab"[int(step[0] > 0)] for step in x] for x in sequences]
    examples = prepare_labelled_steps(sequences, labels, validation=0.25)
    reports = baselines(examples, examples.config("gru", hidden_size=2), Settings())
    assert {name: report.n for name, report in reports.items()} == {"frequency": 150, "linear": 150}
    assert reports["linear"].accuracy > 0.9 > reports["frequency"].accuracy
    assert reports["frequency"].log_loss == pytest.approx(np.log(2), abs=0.02)
