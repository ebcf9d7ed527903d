"""Sound in streams: samples in pieces of any size."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate import SequenceConfig, SequenceModel, StreamPool

FRONT_END = "logmel sample_rate=8000 n_mels=6 win_length=40 hop_length=16 n_fft=64 preemphasis=0.9 remove_dc=true"
SOUND = np.random.default_rng(1).normal(0, 3000, 700).astype(np.int16)


def make_model(**changes: Any) -> SequenceModel:
    """A model of sound with random weights."""
    fields: dict[str, Any] = {"labels": ("a", "b"), "features": 6, "frontend": FRONT_END, "hidden_size": 5} | changes
    config = SequenceConfig(cell="gru", summary="mean+max", **fields)
    rng = np.random.default_rng(5)
    arrays = {name: rng.uniform(0.1, 0.9, shape).astype(np.float32) for name, shape in config.shapes().items()}
    return SequenceModel(config, arrays)


MODEL = make_model()


@settings(max_examples=15, deadline=None)
@given(length=st.integers(0, 700), cuts=st.lists(st.integers(0, 700), max_size=8))
def test_pieces_of_any_size_give_the_bits_of_the_whole(length: int, cuts: list[int]) -> None:
    """After each piece the answer is that to the clip so far: its first and last frame too, and where it has none."""
    clip, session, first = SOUND[:length], MODEL.stream(), 0
    for end in [*sorted(min(cut, length) for cut in cuts), length]:
        session.push(clip[first:end])
        first = end
        assert session.scores.tobytes() == MODEL.scores([clip[:end]])[0].tobytes()
        assert session.vector.tobytes() == MODEL.encode([clip[:end]])[0].tobytes()
    assert session.steps == length


def test_one_sample_at_a_time() -> None:
    """Pieces may be single samples, as an array, and floats as well as 16 bits."""
    session = MODEL.stream()
    for sample in SOUND[:120]:
        session.push(np.array([sample / 32768]))
    assert session.scores.tobytes() == MODEL.scores([SOUND[:120]])[0].tobytes()


def test_a_state_is_in_the_middle_of_a_window() -> None:
    """What has been heard of the next window is a part of the state."""
    session = MODEL.stream().push(SOUND[:333])
    other = make_model().stream(session.state).push(SOUND[333:])
    assert other.scores.tobytes() == MODEL.scores([SOUND])[0].tobytes()
    with pytest.raises(ValueError, match="another model"):
        make_model(frontend=FRONT_END.replace("0.9", "0.8")).stream(session.state)


def test_many_streams_of_unequal_pieces() -> None:
    """In a pool each stream has the bits that it has alone; some of them have no whole window yet."""
    pool, keys, places = StreamPool(MODEL), list(range(20)), np.zeros(20, int)
    rng = np.random.default_rng(2)
    for _ in range(6):
        ends = np.minimum(places + rng.integers(0, 60, 20), 700)
        answers = pool.push(keys, [SOUND[a:b] for a, b in zip(places, ends, strict=True)])
        places = ends
    assert answers.scores.tobytes() == MODEL.scores([SOUND[:end] for end in places]).tobytes()
    equal = StreamPool(MODEL).push(keys[:3], np.stack([SOUND[:90], SOUND[90:180], SOUND[180:270]]))
    assert equal.scores.tobytes() == MODEL.scores([SOUND[:90], SOUND[90:180], SOUND[180:270]]).tobytes()


@pytest.mark.parametrize("piece", [np.zeros((4, 2)), [np.nan], SOUND.astype(float)], ids=["stereo", "NaN", "loud"])
def test_a_wrong_piece_changes_nothing(piece: Any) -> None:
    """It is refused before anything is read."""
    session = MODEL.stream().push(SOUND[:100])
    with pytest.raises(ValueError, match="piece has"):
        session.push(piece)
    assert session.push(SOUND[100:200]).scores.tobytes() == MODEL.scores([SOUND[:200]])[0].tobytes()
