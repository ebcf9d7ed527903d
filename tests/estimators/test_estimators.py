"""Estimators held against scikit-learn's own checks, and in its tools with ragged sequences and texts."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import SkipTest

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

import tidegate
from tidegate.sklearn import (
    SequenceClassifier,
    SequenceEncoder,
    SequenceRegressor,
    TextClassifier,
    TextEncoder,
    TextRegressor,
)

QUICK: dict[str, Any] = {"hidden_size": 16, "epochs": 4, "batch_size": 16, "learning_rate": 0.02, "random_state": 0}
THOROUGH = QUICK | {"epochs": 10, "learning_rate": 0.05, "dropout": 0.0, "validation": 0, "bidirectional": True}
SMALL: dict[str, Any] = {"hidden_size": 8, "epochs": 8, "batch_size": 8, "learning_rate": 0.05, "random_state": 0}

CANNOT = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a row of weight 2 is drawn into one batch, two equal rows into two: steps, and so results, differ, as they do "
        "for every network that is trained in batches"
    ),
}
"""The checks that cannot hold, with the reason."""

TEXTS = ["a good film", "a bad film", "very good", "very bad"] * 8


@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [SequenceClassifier(**QUICK), SequenceRegressor(**THOROUGH), SequenceEncoder(**QUICK)],
    expected_failed_checks=lambda estimator: CANNOT,
    xfail_strict=True,
)
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    """Every check of scikit-learn holds on rows of a fixed length, but those of the list, which fail indeed."""
    try:
        check(estimator)
    except SkipTest as reason:  # which pytest 9.0 takes for a failure
        pytest.skip(str(reason))


@pytest.mark.parametrize("estimator", [TextClassifier(), TextRegressor(), TextEncoder()], ids=str)
def test_scikit_learns_checks_of_texts(estimator: Any) -> None:
    """scikit-learn has no texts to check with, and says so; what needs no data holds."""
    with pytest.warns(SkipTestWarning, match="Can't test estimator"):
        checks = list(estimator_checks_generator(estimator))
    assert checks
    for checked, check in checks:
        check(checked)


def walks(count: int = 60) -> tuple[list[Any], Any]:
    """Sequences of different lengths whose first of two features adds up to some end, and the ends."""
    rng = np.random.default_rng(0)
    steps = [rng.standard_normal((rng.integers(3, 9), 2)) for _ in range(count)]
    return steps, np.array([x[:, 0].sum() for x in steps])


@pytest.mark.parametrize("labels", [(1, 2), (-1.0, 1.0), (False, True), ("10", "9"), ("no", "yes")], ids=str)
def test_classes_have_the_type_of_the_labels(labels: tuple[Any, Any]) -> None:
    """`classes_` and predictions are of the labels' own dtype, and probabilities in the order of `classes_`."""
    sequences, ends = walks()
    y = np.array(labels)[(ends > 0).astype(int)]
    classifier = SequenceClassifier(**SMALL).fit(sequences, y)
    assert classifier.classes_.tolist() == list(labels)
    assert classifier.predict(sequences).dtype == classifier.classes_.dtype == y.dtype
    assert classifier.score(sequences, y) > 0.8
    chosen = classifier.classes_[classifier.predict_proba(sequences).argmax(axis=1)]
    assert (chosen == classifier.predict(sequences)).all()
    assert classifier.n_features_in_ == 2


def test_rows_and_sequences_of_a_length_are_the_same() -> None:
    """Rows [B, T·K] with input_size=K are the sequences [B, T, K]; with channels first, [B, K, T]."""
    x = np.random.default_rng(1).standard_normal((40, 6, 2))
    y = x[:, :, 0].sum(axis=1) > 0
    turned = x.transpose(0, 2, 1)
    rows = SequenceClassifier(input_size=2, **SMALL).fit(x.reshape(40, 12), y)
    expected = rows.predict_proba(x.reshape(40, 12))
    assert rows.n_features_in_ == 12
    for given in (x, list(x)):
        found = SequenceClassifier(**SMALL).fit(given, y).predict_proba(given)
        assert found.tobytes() == expected.tobytes()
    first = SequenceClassifier(layout="channels_first", input_size=2, **SMALL)
    for given in (turned, list(turned), turned.reshape(40, 12)):
        assert clone(first).fit(given, y).predict_proba(given).tobytes() == expected.tobytes()


def test_ragged_sequences_pass_through_scikit_learns_tools() -> None:
    """Lists and object arrays of ragged sequences are cross-validated, searched, piped, voted on and calibrated."""
    sequences, ends = walks()
    y, classifier = np.where(ends > 0, "up", "down"), SequenceClassifier(**SMALL | {"epochs": 4})
    objects = np.empty(len(sequences), object)
    objects[:] = sequences
    assert cross_val_score(classifier, sequences, y, cv=2).mean() > 0.6
    assert cross_val_score(classifier, objects, y, cv=2).tolist() == cross_val_score(
        classifier, sequences, y, cv=2
    ).tolist()  # fmt: skip
    search = GridSearchCV(classifier, {"hidden_size": [2, 8]}, cv=2).fit(sequences, y)
    assert search.best_params_["hidden_size"] in {2, 8}
    piped = make_pipeline(SequenceEncoder(**SMALL), LogisticRegression()).fit(sequences, y)
    assert piped.score(sequences, y) > 0.8
    assert piped[:-1].get_feature_names_out().tolist() == [f"sequenceencoder{i}" for i in range(8)]
    for tool in (VotingClassifier([("gru", classifier)], voting="soft"), CalibratedClassifierCV(classifier, cv=2)):
        assert tool.fit(sequences, y).predict(sequences).shape == (60,)


def test_numbers_are_predicted_one_or_several() -> None:
    """A regressor learns numbers [B] and [B, C] of ragged sequences; the encoder sees which of both y is."""
    sequences, ends = walks(120)
    several = np.stack([ends, -10 * ends], axis=1)
    regressor = SequenceRegressor(**SMALL | {"epochs": 15}).fit(sequences, several)
    assert regressor.predict(sequences).shape == (120, 2)
    assert regressor.score(sequences, several) > 0.5
    encoder = SequenceEncoder(**SMALL | {"epochs": 1})
    assert SequenceRegressor(**SMALL | {"epochs": 1}).fit(sequences, ends).predict(sequences).shape == (120,)
    assert encoder.fit(sequences, ends).model_.config.task == "regression"
    assert encoder.fit(sequences, ends > 0).model_.config.task == "classification"


def test_weights_reach_the_loss() -> None:
    """`fit` hands sample weights on: of contradictory rows those with the weight are believed."""
    sequences = [np.full((3, 1), float(i % 2)) for i in range(64)]
    y = np.array([(i % 2) ^ (i >= 32) for i in range(64)])
    weights = np.where(np.arange(64) < 32, 1.0, 1e-3)
    classifier = SequenceClassifier(**SMALL | {"validation": 0.25}).fit(sequences, y, sample_weight=weights)
    assert classifier.score(sequences, y, sample_weight=weights) > 0.9


def test_texts_are_classified_encoded_and_given_numbers() -> None:
    """The estimators of texts take lists, arrays and generators of texts."""
    y = np.array([1, 0] * 16)
    classifier = TextClassifier(embedding_size=8, **SMALL)
    for texts in (TEXTS, np.array(TEXTS), iter(TEXTS)):
        assert clone(classifier).fit(list(texts), y).predict(["good", "bad"]).tolist() == [1, 0]
    assert cross_val_score(classifier, TEXTS, y, cv=2).mean() == 1.0
    piped = make_pipeline(TextEncoder(embedding_size=8, **SMALL), LogisticRegression()).fit(TEXTS, y)
    assert piped.predict(["good", "bad"]).tolist() == [1, 0]
    good, bad = TextRegressor(embedding_size=8, **SMALL).fit(TEXTS, 9.0 * y).predict(["very good", "very bad"])
    assert good > 6
    assert bad < 3


def test_a_classifier_of_texts_is_made_of_parts() -> None:
    """Parts are a parameter as any other, can be searched among, and take no weights of samples."""
    classifier = TextClassifier(parts="ngrams", cell="average", **SMALL)
    search = GridSearchCV(classifier, {"parts": ["ngrams", "network,ngrams"]}, cv=2).fit(TEXTS, [1, 0] * 16)
    assert search.predict(["good", "bad"]).tolist() == [1, 0]
    assert search.best_estimator_.model_.ngrams is not None
    with pytest.raises(ValueError, match="no sample_weight"):
        classifier.fit(TEXTS, [1, 0] * 16, np.ones(32))


def test_a_pickled_estimator_predicts_without_torch(tmp_path: Path) -> None:
    """In a process that has not imported PyTorch it predicts the same bits; `model_` saves and explains."""
    sequences, ends = walks()
    classifier = SequenceClassifier(**SMALL).fit(sequences, ends > 0)
    (tmp_path / "pickled").write_bytes(pickle.dumps((classifier, sequences)))
    code = """
import pickle, sys
classifier, sequences = pickle.load(open(sys.argv[1], "rb"))
print(classifier.predict_proba(sequences).tobytes().hex(), "torch" in sys.modules)"""
    command = [sys.executable, "-c", code, str(tmp_path / "pickled")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == [classifier.predict_proba(sequences).tobytes().hex(), "False"]
    assert isinstance(classifier.model_, tidegate.SequenceModel)
    assert classifier.model_.explain(sequences[0]).error < 1e-5


def fitted() -> SequenceClassifier:
    """A classifier of sequences of two features."""
    sequences, ends = walks(20)
    return SequenceClassifier(**SMALL | {"epochs": 1}).fit(sequences, ends > 0)


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "another width": (
        lambda: fitted().predict([np.ones((3, 5))]),
        ValueError,
        r"X has sequences of \[5\] features, but SequenceClassifier is expecting 2",
    ),
    "two widths": (
        lambda: SequenceClassifier().fit([np.ones((3, 5)), np.ones((3, 4))], [0, 1]),
        ValueError,
        r"X has sequences of \[4, 5\] features",
    ),
    "half a step": (
        lambda: SequenceClassifier(input_size=2).fit(np.ones((4, 3)), [0, 1, 0, 1]),
        ValueError,
        "X has 3 numbers in a row, expected T·K: a multiple of input_size=2",
    ),
    "a gap": (
        lambda: fitted().predict([np.full((3, 2), np.nan)]),
        ValueError,
        r"sequences\[0\] has NaN at step 0, feature 0, which was never missing in training",
    ),
    "one class": (
        lambda: SequenceClassifier().fit([np.ones((3, 1))] * 4, ["a"] * 4),
        ValueError,
        r"found one class, \['a'\], expected at least two classes",
    ),
    "no label at all": (
        lambda: SequenceClassifier().fit([np.ones((3, 1))] * 4, np.zeros((4, 2), int)),
        ValueError,
        "found no label in y: all its numbers are 0",
    ),
    "classes with a fraction": (
        lambda: SequenceClassifier().fit([np.ones((3, 1))] * 4, [0.5, 1.5, 2.5, 3.5]),
        ValueError,
        "Unknown label type: continuous",
    ),
    "one text": (lambda: TextClassifier().fit("a good film", [1]), TypeError, "texts is one text, expected several"),
    "no text": (lambda: TextClassifier().fit([], []), ValueError, "found no text in X, expected at least one"),
    "numbers for texts": (lambda: TextClassifier().fit([1, 2], [0, 1]), TypeError, "1"),
    "before fit": (lambda: TextClassifier().predict(["a"]), NotFittedError, "is not fitted yet"),
}


@pytest.mark.parametrize(("call", "kind", "message"), WRONG.values(), ids=WRONG.keys())
def test_mistakes_are_named(call: Any, kind: type[Exception], message: str) -> None:
    """An error says what is wrong with what was given."""
    with pytest.raises(kind, match=message):
        call()


def test_without_scikit_learn_the_install_line_is_shown() -> None:
    """`tidegate.sklearn` says how to get what it needs."""
    code = "import sys; sys.modules['sklearn'] = None; import tidegate.sklearn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: tidegate.sklearn needs scikit-learn: pip install 'tidegate[sklearn]'" in done.stderr


def test_the_classifier_learns_several_labels() -> None:
    """A 0/1 matrix, sparse or not, is predicted as one; a label that never occurs has the probability 0."""
    rng = np.random.default_rng(0)
    X = rng.choice([-1.0, 1.0], (64, 1, 2)) + rng.normal(size=(64, 5, 2)) / 4
    y = np.hstack([X.mean(axis=1) > 0, np.zeros((64, 1))]).astype(int)
    classifier = SequenceClassifier(cell="average", **SMALL).fit(X, y)
    assert classifier.classes_.tolist() == [0, 1, 2]
    assert (classifier.predict(X) == y).mean() > 0.9
    assert (classifier.predict_proba(X)[:, 2] == 0).all()
    sparse = clone(classifier).fit(X, csr_matrix(y))
    assert np.array_equal(sparse.predict(X), classifier.predict(X))
    assert classifier.score(X, y) > 0.8


def test_the_encoder_needs_no_labels() -> None:
    """What foresees the next steps of waves tells slow ones from fast ones that it has not seen; texts need labels."""
    rng = np.random.default_rng(0)
    fast = np.arange(120) % 2
    X = [np.sin(np.arange(rng.integers(9, 14)) * (1 + f) + rng.uniform(0, 2 * np.pi))[:, None] for f in fast]
    encoder = SequenceEncoder(**SMALL | {"hidden_size": 16, "epochs": 20, "dropout": 0.0}).fit(X[:60])
    assert encoder.model_.config.task == "next"
    vectors = encoder.transform(X)
    assert LogisticRegression().fit(vectors[:60], fast[:60]).score(vectors[60:], fast[60:]) > 0.9
    with pytest.raises(ValueError, match="requires y to be passed"):
        TextEncoder().fit(TEXTS)


def test_sequences_of_sound_are_clips() -> None:
    """With a front-end, clips of any length are told apart by their pitch, and clones and pickles have it too."""
    rng = np.random.default_rng(0)
    clips = [np.sin(np.arange(rng.integers(900, 1600)) * (0.3 + 0.9 * (b % 2))) for b in range(24)]
    pitch = ["low", "high"] * 12
    settings: dict[str, Any] = {"hidden_size": 4, "epochs": 12, "learning_rate": 0.05, "random_state": 0}
    classifier = SequenceClassifier(frontend="logmel sample_rate=8000", **settings)
    fitted = clone(classifier).fit(clips, pitch)
    assert fitted.score(clips, pitch) == 1
    assert fitted.n_features_in_ == 1
    assert fitted.model_.reads_sound
    restored = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(restored.predict_proba(clips), fitted.predict_proba(clips))
    with pytest.raises(ValueError, match="found no clip in X"):
        classifier.fit([], [])
    with pytest.raises(ValueError, match=r"X\[1\] has shape"):
        classifier.fit([clips[0], np.zeros((9, 2))], ["low", "high"])
