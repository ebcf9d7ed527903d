"""How much a client may ask for."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of a request, and of all that wait at a time. What is beyond is refused, and the refusal names the bound.

    Attributes:
        body: Bytes of a request.
        rows: Texts or sequences in a request.
        characters: Characters of a text.
        steps: Steps of a sequence of numbers.
        explained: Words or steps of all that a request has explained, which takes far more time and memory than an
            answer alone.
        queue: Texts or sequences that wait for one model; with more, the answer is 429 with `Retry-After`.
        batch: Texts or sequences that a model reads at a time.
        wait: Seconds that a batch waits for more, once its first row is there. Rows that arrive while a model reads
            the batch before are together without it.
        seconds: In which a request must have arrived, and for which it may wait for the model.
        drain: Seconds in which requests under way are answered when the server is told to end.
    """

    body: int = 8_000_000
    rows: int = 1_024
    characters: int = 200_000
    steps: int = 100_000
    explained: int = 5_000
    queue: int = 4_096
    batch: int = 256
    wait: float = 0.0
    seconds: float = 30.0
    drain: float = 10.0
