"""States of streams as bytes."""

import numpy as np
import pytest

from tidegate import Recurrent, Session, StateError
from tidegate.stream.state import State
from tidegate.text.pieces import Held
from tidegate.text.tokenizer import Words


def session(seed: int = 0, H: int = 5) -> Session:
    """A session that has read three vectors."""
    rng = np.random.default_rng(seed)
    weights = {"weight_ih_l0": rng.standard_normal((3 * H, 2)), "weight_hh_l0": rng.standard_normal((3 * H, H))}
    return Session(Recurrent(weights)).push(np.ones((3, 2)))


def words(T: int, *unknown: str) -> Words:
    """Words with the ids 0, 1, 2, …; 1 is that of one that is unknown."""
    return Words(np.arange(T, dtype=np.int32), unknown)


def test_a_state_comes_back_as_it_was() -> None:
    """Steps, what is held back, numbers and words come out of the bytes as they went in."""
    state = State(b"f" * 16, 7, Held("<b 漢", b"\xe6\xbc"), np.arange(3, dtype="<f4").tobytes())
    assert State.from_bytes(state.to_bytes(), b"f" * 16, 3) == state
    for unknown in ((), ("naïve\0\n",)):
        found = State.from_bytes(state._replace(words=words(7, *unknown)).to_bytes(), b"f" * 16, 3)
        assert (found.held, found.words.ids.tolist(), found.words.unknown) == (state.held, [*range(7)], unknown)


def test_a_session_goes_on_from_a_state_elsewhere() -> None:
    """A model with the same weights goes on from it; the old session is not touched by that."""
    first = session()
    second = Session(session().model, first.state)
    assert second.state == first.state
    second.push([[1.0, 2.0]])
    assert (first.steps, second.steps) == (3, 4)
    first.push([[1.0, 2.0]])
    assert second.state == first.state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", "no state of a stream"),
        (lambda data: data[:40], "no state of a stream"),
        (lambda data: b"x" + data[1:], "no state of a stream"),
        (lambda data: data[:16] + b"\x07" + data[17:], "version 7, expected 1"),
        (lambda data: data[:-20] + b"\x00" + data[-19:], "damaged"),
        (lambda data: data[:-1], "damaged"),
        (lambda data: data + b"\x00", "damaged"),
        (lambda data: session(1).state, "another model"),
        (lambda data: State(data[20:36], 1, Held(), b"1234").to_bytes(), "4 bytes of numbers, expected 20"),
        (lambda data: State(data[20:36], 2**63, Held(), bytes(20)).to_bytes(), "expected less than 2\\*\\*63"),
        (lambda data: State(data[20:36], 3, Held(), bytes(20), words(2)).to_bytes(), "words that are damaged"),
        (
            lambda data: State(data[20:36], 3, Held(), bytes(20), words(3, "x", "y")).to_bytes(),
            "words that are damaged",
        ),
        (lambda data: State(data[20:36], 3, Held(), bytes(20), words(3)).to_bytes(), "words that the model does not"),
    ],
)
def test_what_is_no_state_is_an_error(change: object, message: str) -> None:
    """Damaged bytes, another version and another model are told apart, and change nothing."""
    old = session()
    before = old.state
    assert callable(change)
    with pytest.raises(StateError, match=message):
        old.state = change(before)
    assert old.state == before


def test_the_bits_of_weights_tell_models_apart() -> None:
    """A stack in int8 computes other bits than one with the same numbers in float32, so their states differ."""
    [small, again] = [session().model._stack.compressed("int8") for _ in range(2)]  # type: ignore[attr-defined]
    expanded = Recurrent(small.weights)
    state = Session(small).push(np.ones((3, 2))).state
    assert Session(again, state).state == state
    with pytest.raises(StateError, match="another model"):
        Session(expanded, state)


def test_every_flipped_bit_is_seen() -> None:
    """No single bit of a state can change without notice."""
    old = session()
    state = old.state
    for place in range(8 * len(state)):
        data = bytearray(state)
        data[place // 8] ^= 1 << place % 8
        with pytest.raises(StateError):
            old.state = bytes(data)


def test_a_state_that_is_no_bytes_is_a_type_error() -> None:
    """A text, for example."""
    with pytest.raises(TypeError, match="expected bytes"):
        session().state = "state"  # type: ignore[assignment]
