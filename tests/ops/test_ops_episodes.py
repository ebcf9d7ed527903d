"""Several episodes packed in one row: each is walked as if it were alone, in both passes."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tidegate import ops
from tidegate.ops.cells import Cell

Array = npt.NDArray[np.float32]

I, H, T, B = 5, 19, 23, 6
GRADIENT = 2e-5  # largest error of a gradient, relative to the largest magnitude in its array

every_cell = pytest.mark.parametrize(
    "cell", [*ops.CELLS, "gru reset=before", "gru reset=off gate=hard_sigmoid", "gru update=off candidate=relu"]
)
every_isa = pytest.mark.parametrize("isa", ops.isas())
every_direction = pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])


def layer_of(rng: np.random.Generator, cell: str, isa: str, hidden: int = H) -> ops.Layer:
    shapes = (
        (Cell.of(cell).G * hidden, I),
        (Cell.of(cell).G * hidden, hidden),
        *2 * ((Cell.of(cell).G * hidden,),),
    )
    return ops.pack(cell, *(rng.uniform(-0.5, 0.5, shape).astype(np.float32) for shape in shapes), isa=isa)


def episodes(episode_starts: npt.NDArray[np.bool_], length: int) -> list[slice]:
    """The episodes of one row, cut at its marks."""
    starts = [t for t in range(length) if t == 0 or episode_starts[t]]
    return [slice(*ends) for ends in pairwise([*starts, length])]


@every_isa
@every_cell
@every_direction
@pytest.mark.parametrize("episode_state", ops.EPISODE_STATES)
@pytest.mark.parametrize("recompute_every", [None, 3])
def test_an_episode_is_walked_as_if_it_were_alone(
    isa: str, cell: str, reverse: bool, episode_state: str, recompute_every: int | None
) -> None:
    """Outputs are those of the episodes one by one, to the bit; gradients are the sums of theirs."""
    rng = np.random.default_rng(0)
    layer = layer_of(rng, cell, isa)
    states = (B, H) if layer.cell.S == 1 else (layer.cell.S, B, H)
    x, h0 = rng.standard_normal((T, B, I)).astype(np.float32), rng.standard_normal(states).astype(np.float32)
    dy, dh_n = rng.standard_normal((T, B, H)).astype(np.float32), rng.standard_normal(states).astype(np.float32)
    lengths, episode_starts = np.array([T, 0, 7, T, 12, 1]), rng.random((T, B)) < 0.2
    episode_starts[0, 0] = episode_starts[5, 2] = True
    options: dict[str, Any] = {
        "lengths": lengths,
        "reverse": reverse,
        "episode_starts": episode_starts,
        "episode_state": episode_state,
    }

    out = ops.forward(layer, x, h0, trace=True if recompute_every is None else "states", **options)
    found = ops.backward(layer, x, out, dy, dh_n, h0, recompute_every=recompute_every, **options)

    sums = [np.zeros_like(array) for array in found if array is not None]
    dx, dh0, *dweights = sums
    for b in range(B):
        parts = episodes(episode_starts[:, b], lengths[b])
        for number, part in enumerate(parts):
            first, last = (number == 0 and not episode_starts[0, b], number == len(parts) - 1)
            if reverse:
                first, last = last, number == 0
            own = h0[..., b : b + 1, :] if first or episode_state == "h0" else None
            alone = ops.forward(layer, x[part, b : b + 1], own, reverse=reverse, trace=True)
            np.testing.assert_array_equal(out.y[part, b], alone.y[:, 0])
            last_gradient = dh_n[..., b : b + 1, :] if last else None
            gradients = ops.backward(
                layer, x[part, b : b + 1], alone, dy[part, b : b + 1], last_gradient, own, reverse=reverse
            )
            assert gradients.dx is not None
            assert gradients.dh0 is not None
            dx[part, b] += gradients.dx[:, 0]
            dh0[..., b, :] += gradients.dh0[..., 0, :] if own is not None else 0
            for total, array in zip(dweights, gradients[2:], strict=True):
                assert array is not None
                np.add(total, array, out=total)
    dh0[..., 1, :] = dh_n[..., 1, :]  # the row without steps
    for array, expected in zip(found, sums, strict=True):
        assert array is not None
        assert np.abs(array - expected).max() <= GRADIENT * max(1, np.abs(expected).max())


@every_isa
@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize(("hidden", "rows"), [(19, 40), (160, 2)], ids=["rows shared", "units shared"])
def test_episodes_do_not_depend_on_threads(
    isa: str, threads: int, hidden: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both passes give the same bits however threads share the work."""
    rng = np.random.default_rng(1)
    layer = layer_of(rng, "gru", isa, hidden)
    x, h0 = rng.standard_normal((60, rows, I)).astype(np.float32), np.ones((rows, hidden), np.float32)
    episode_starts = rng.random((60, rows)) < 0.3
    results = []
    for number in (1, threads):
        monkeypatch.setattr("tidegate.ops.threads._threads", number)
        out = ops.forward(layer, x, h0, episode_starts=episode_starts, episode_state="h0", trace=True)
        results.append(
            [*out, *ops.backward(layer, x, out, out.y, h0=h0, episode_starts=episode_starts, episode_state="h0")]
        )
    for one, many in zip(*results, strict=True):
        np.testing.assert_array_equal(one, many)


def test_a_packed_sequence_has_packed_marks() -> None:
    """Marks [N] of a packed sequence mean what marks [T, B] mean on the padded one."""
    rng = np.random.default_rng(2)
    layer = layer_of(rng, "gru", ops.isas()[0])
    sizes = np.array([4, 4, 3, 1, 1])
    x, episode_starts = rng.standard_normal((5, 4, I)).astype(np.float32), rng.random((5, 4)) < 0.5
    held = np.arange(4) < sizes[:, None]
    packed = ops.forward(layer, x[held], batch_sizes=sizes, episode_starts=episode_starts[held])
    padded = ops.forward(layer, x, lengths=held.sum(0), episode_starts=episode_starts)
    np.testing.assert_array_equal(packed.y, padded.y[held])


WRONG = {
    "numbers": (np.zeros((T, B)), TypeError, "episode_starts has dtype float64, expected bool: convert it"),
    "axes": (
        np.zeros(T, bool),
        ValueError,
        rf"episode_starts has shape \({T},\), expected \[T, B\] = \({T}, {B}\): T={T}",
    ),
    "shape": (np.zeros((B, T), bool), ValueError, rf"episode_starts has shape \({B}, {T}\), expected \[T, B\]"),
}


@pytest.mark.parametrize(("episode_starts", "error", "message"), WRONG.values(), ids=WRONG)
def test_wrong_marks_are_refused(episode_starts: Any, error: type[Exception], message: str) -> None:
    """An error says what marks should look like, and where their sizes come from."""
    layer = layer_of(np.random.default_rng(3), "gru", ops.isas()[0])
    with pytest.raises(error, match=message):
        ops.forward(layer, np.zeros((T, B, I), np.float32), episode_starts=episode_starts)


def test_an_unknown_start_is_refused() -> None:
    """Episodes start from zeros or from h0, and the error says so."""
    layer = layer_of(np.random.default_rng(3), "gru", ops.isas()[0])
    with pytest.raises(ValueError, match="episode_state is 'ones', expected one of 'zeros', 'h0'"):
        ops.forward(layer, np.zeros((T, B, I), np.float32), episode_starts=np.zeros((T, B), bool), episode_state="ones")
