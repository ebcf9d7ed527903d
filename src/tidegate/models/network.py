"""A trained network without PyTorch: sequences of vectors in; labels, numbers, probabilities, summary vectors out."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any, ClassVar

from tidegate.models.config import NetworkConfig
from tidegate.models.encoder import Array, Ids
from tidegate.models.inspected import Inspected
from tidegate.sequences.recurrent import Recurrent
from tidegate.stream.parts import NetworkPart, StreamPart
from tidegate.stream.session import Session
from tidegate.stream.streamable import model_id
from tidegate.text.tokenizer import Tokenizer, Words


class Network(Inspected):
    """A trained network: a recurrent stack or a pooling, a summary, and a linear head, on sequences of vectors.

    It needs numpy and the native kernels only. The result for a sequence does not depend on the others of a call.
    Sequences are a list of arrays [T, I], each with its own T, or one array [B, T, I].

    Example:
        A network that adds up what it sees, made by hand, tells a positive sum from a negative one:

        >>> import numpy as np
        >>> from tidegate import NetworkConfig
        >>> config = NetworkConfig(cell="compound", labels=("less", "more"), input_size=1, rate=1.0)
        >>> arrays = {"rate": np.ones(1), "head.weight": np.array([[-1], [1]]), "head.bias": np.zeros(2)}
        >>> network = Network(config, {name: array.astype(np.float32) for name, array in arrays.items()})
        >>> network.predict([[[1.0], [2.0], [-1.5]], [[-1.0], [0.5]]]).tolist()
        ['more', 'less']

    Attributes:
        config: Cell, sizes, summary, task and labels.
        arrays: float32 arrays by the names of the torch module that trained them, read-only; those that are kept in
            fewer bits are expanded.
        small: Those that are kept in fewer bits, by name, as they are kept.
        metrics: What training measured, by name.
        versions: The versions of the packages that trained it, by name.
        stack: The recurrent layers; None for a pooling.
        summary: How outputs become a summary vector: that of the configuration, or of the pooling.
        tokenizer: What turns a text into word ids; None for a network that reads vectors.
    """

    described: ClassVar[str] = "a network that reads vectors"
    ngrams: Any = None  # texts alone have them
    tokenizer: Tokenizer | None = None

    @classmethod
    def of(cls, stack: Recurrent) -> "Network":
        """Makes a network of a recurrent stack alone, which encodes as the stack does, and can be saved.

        Example:
            >>> import numpy as np
            >>> weights = {"weight_ih_l0": np.array([[1.0]]), "weight_hh_l0": np.array([[1.0]])}
            >>> network = Network.of(Recurrent(weights, cell="rnn_relu"))
            >>> network.encode([[[1.0], [2.0]]])
            array([[3.]], dtype=float32)

        Args:
            stack: The stack; after `save` and `tidegate.load` it is the attribute `stack` of the network.
        """
        sizes = {name: getattr(stack, name) for name in ("input_size", "hidden_size", "num_layers", "bidirectional")}
        config = NetworkConfig(cell=str(stack.cell), task="encoding", bias=stack.bias, summary=stack.summary, **sizes)
        return Network(config, {f"rnn.{name}": array for name, array in stack.stored.items()})

    @property
    def cell_name(self) -> str:
        """The cell, with what was chosen of it, or the pooling."""
        return self.config.cell

    def stream(self, state: bytes | None = None, *, endless: bool = False) -> Session:
        """Begins a stream: one sequence that is read as it arrives, to the bit as if it came whole.

        Args:
            state: The `state` of an earlier session with this model, to go on from there; None to begin anew.
            endless: Whether to read on where `predict` would not, beyond the `max_length` of a model of texts.

        Raises:
            TypeError: The state is no bytes.
            ValueError: The network reads in both directions, or the state is damaged or of another model.
        """
        return Session(self, state, endless=endless)

    def stream_parts(self) -> tuple[StreamPart, ...]:
        """Returns the parts whose scores are added up, each in the form that a stream runs.

        Raises:
            ValueError: The network reads in both directions.
        """
        features = self.config.hidden_size if self.stack else self.config.input_size
        head = self.head if self.config.has_head else None
        return (NetworkPart(self.outputs, self.stack, features, self.summary, head, self.first_states()),)

    def first_states(self) -> Array | None:
        """Returns the states before the first step of a stream, as `outputs` takes them; None for 0."""
        return None

    @property
    def reads_sound(self) -> bool:
        """Whether its steps are samples of sound."""
        return False

    @property
    def most_steps(self) -> int | None:
        """The steps of a sequence that it reads; None for all."""
        return None

    @cached_property
    def model_id(self) -> bytes:
        """What tells it from other models where the state of a stream is restored, 16 bytes."""
        tokenizer = self.tokenizer.to_json() if self.tokenizer else ""
        gaps = getattr(self.config, "missing", ())
        frontend = getattr(self.config, "frontend", None) or ""
        return model_id(f"{self.cell_name} {self.summary} {gaps} {tokenizer}{frontend}", self._stored)

    def vectors_of(self, ids: Ids) -> Array:
        """Returns the vectors of words, float32 [..., I]; a network that reads vectors knows none."""
        raise TypeError(f"this network reads vectors, not words: {ids!r:.60}")

    def read_texts(self, texts: Iterable[str], max_length: int | None = None) -> list[Words]:
        """Cuts texts into the words that its parts read; a network that reads vectors reads none."""
        raise TypeError(f"this network reads vectors, not texts: {texts!r:.60}")
