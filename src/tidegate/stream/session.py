"""One stream through a model."""

from typing import Any, Self

import numpy as np

from tidegate.sequences.recurrent import Recurrent
from tidegate.stream.parts import Array
from tidegate.stream.slots import Answers, Slots
from tidegate.stream.streamable import Streamable, piece_vectors, streamable
from tidegate.text import pieces

_ROW = np.zeros(1, np.intp)


class Session:
    """One sequence that is read as it arrives, to the bit as if it came whole, however it is cut.

    A text may be cut anywhere, also inside a word or a character: what later text could still change is held back,
    see `pending`.

    Example:
        A network that adds up what it sees, made by hand:

        >>> from tidegate import Network, NetworkConfig
        >>> config = NetworkConfig(cell="compound", labels=("less", "more"), input_size=1, rate=1.0)
        >>> arrays = {"rate": np.ones(1), "head.weight": np.array([[-1], [1]]), "head.bias": np.zeros(2)}
        >>> network = Network(config, {name: array.astype(np.float32) for name, array in arrays.items()})
        >>> session = network.stream()
        >>> session.push([[1.0], [2.0]]).vector
        array([3.], dtype=float32)
        >>> session.push([[-5.0]]).prediction
        'less'

    Attributes:
        model: The model.
    """

    def __init__(self, model: Streamable | Recurrent, state: bytes | None = None, *, endless: bool = False) -> None:
        """Begins a stream, or goes on with one; `model.stream()` does the same.

        Args:
            model: The model, or a bare stack.
            state: The `state` of an earlier session with the same model; None to begin anew.
            endless: Whether to read on where `predict` would not, beyond the `max_length` of a model of texts.

        Raises:
            TypeError: The state is no bytes.
            ValueError: The model can't be streamed, or the state is damaged or of another model.
        """
        self.model = streamable(model)
        self._slots = Slots(self.model, 1, None if endless else self.model.most_steps)
        self._held = pieces.NO_TEXT
        if state is None:
            self.reset()
        else:
            self.state = state

    def push(self, piece: Any) -> Self:
        """Reads what comes next.

        Args:
            piece: Of a text, str or bytes in UTF-8; or vectors, [T, I], or a single one, [I]; of a `SequenceModel`
                what it predicts from, in its layout, or a single step, [K].

        Returns:
            The session itself.

        Raises:
            TypeError: The piece is of another type.
            ValueError: Vectors are of another size or not finite, bytes are no UTF-8, or too much would be held back.
                Nothing has been read then.
        """
        tokenizer = self.model.tokenizer
        if tokenizer is None:
            self._slots.read(_ROW, piece_vectors(self.model, piece)[None])
        else:
            text, self._held = pieces.take(tokenizer, self._held, piece)
            self._slots.read(_ROW, self.model.read_texts([text]))
        return self

    def finish(self) -> Self:
        """Reads what is held back, as the end of a text; what is pushed later begins a new word.

        Returns:
            The session itself.

        Raises:
            ValueError: The text ends inside a character.
        """
        if self.model.tokenizer:
            text, self._held = pieces.rest(self._held), pieces.NO_TEXT
            self._slots.read(_ROW, self.model.read_texts([text]))
        return self

    def reset(self) -> None:
        """Begins anew."""
        self._held = pieces.NO_TEXT
        self._slots.clear(_ROW)

    @property
    def steps(self) -> int:
        """Words or vectors that have been read."""
        return int(self._slots.counts[0])

    @property
    def pending(self) -> str:
        """What has come of a text and is not read yet, because later text could change its words.

        Bytes of a character that is not complete are left out.
        """
        return self._held.text

    @property
    def vector(self) -> Array:
        """The summary of what has been read, float32 [F]."""
        vector: Array = self._answers.vectors[0]
        return vector

    @property
    def scores(self) -> Array:
        """Outputs of the head: logits or numbers, float32 [C]; ValueError for a network without a head."""
        scores: Array = self._answers.scores[0]
        return scores

    @property
    def probabilities(self) -> Array:
        """The probability of each class, float32 [C]; ValueError for a network that is not a classifier."""
        probabilities: Array = self._answers.probabilities[0]
        return probabilities

    @property
    def prediction(self) -> Any:
        """The most probable class, or the number or numbers of a regression; ValueError for one without a head."""
        return self._answers.predictions[0]

    @property
    def _answers(self) -> Answers:
        return self._slots.answers(_ROW)

    @property
    def state(self) -> bytes:
        """All that has been read, as a value: to be stored, copied, or sent to where the same model is.

        Setting it takes the session to that point. It has a version and a check against damage, and no code in it; the
        check is no proof of who wrote it. ValueError if it is damaged or of another model; nothing has changed then.
        """
        return self._slots.state(0, self._held)

    @state.setter
    def state(self, data: bytes) -> None:
        self._held = self._slots.restore(0, data)

    def __repr__(self) -> str:
        return f"Session({self.model!r}, {self.steps:,} steps read, {len(self.pending)} characters pending)"
