"""What is wrong with constructors and inputs is refused with torch's own words."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from torch.nn.utils import rnn

from .layers import (  # noqa: TID252 - pytest takes tests by their paths
    CELLS,
    B,
    H,
    I,
    T,
    twins,
)

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")  # torch's own

WRONG_CONSTRUCTORS = {
    "proj_size": (lambda module: module(3, 4, proj_size=2)),
    "hidden_size": (lambda module: module(3, 0)),
    "input_size": (lambda module: module("3", 4)),
    "num_layers": (lambda module: module(3, 4, num_layers=0)),
    "dropout": (lambda module: module(3, 4, num_layers=2, dropout=1.5)),
    "bias": (lambda module: module(3, 4, bias=1)),
    "unknown": (lambda module: module(3, 4, colour="red")),
}

PACKED_ROWS = rnn.pack_sequence([torch.zeros(3, I), torch.zeros(2, I)])

WRONG_INPUTS = {
    "no axis": lambda module: module(torch.zeros(())),
    "one axis": lambda module: module(torch.zeros(3)),
    "four axes": lambda module: module(torch.zeros(1, 2, 3, 4)),
    "features": lambda module: module(torch.zeros(T, B, I + 1)),
    "features, unbatched": lambda module: module(torch.zeros(T, I + 1)),
    "features, packed": lambda module: module(rnn.pack_sequence([torch.zeros(2, I + 1)])),
    "no steps": lambda module: module(torch.zeros(0, B, I)),
    "dtype": lambda module: module(torch.zeros(T, B, I, dtype=torch.float64)),
    "integers": lambda module: module(torch.zeros(T, B, I, dtype=torch.int64)),
    "rows of hx": lambda module: module(torch.zeros(T, B, I), torch.zeros(1, B + 1, H)),
    "layers of hx": lambda module: module(torch.zeros(T, B, I), torch.zeros(2, B, H)),
    "axes of hx": lambda module: module(torch.zeros(T, B, I), torch.zeros(B, H)),
    "axes of hx, unbatched": lambda module: module(torch.zeros(T, I), torch.zeros(1, 1, H)),
    "hx of a packed sequence": lambda module: module(PACKED_ROWS, torch.zeros(1, 3, H)),
    "dtype of hx": lambda module: module(torch.zeros(T, B, I), torch.zeros(1, B, H, dtype=torch.float64)),
    "tuple of states": lambda module: module(torch.zeros(T, B, I), (torch.zeros(1, B, H), torch.zeros(1, B, H))),
    "numpy": lambda module: module(np.zeros((T, B, I), np.float32)),
    "missing": lambda module: module(),
}


def error_of(call: Callable[..., Any], *args: Any) -> tuple[type, str]:
    """Type and message of the error that a call raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one it is, the caller compares
        call(*args)
    return type(caught.value), str(caught.value)


TAKEN_BY_LSTM = {"proj_size", "tuple of states", "features, packed"}  # the last one torch does not notice


@pytest.mark.parametrize(
    ("cell", "case"),
    [(c, case) for c in CELLS for case in WRONG_CONSTRUCTORS if c != "lstm" or case not in TAKEN_BY_LSTM],
)
def test_wrong_constructor_arguments(cell: str, case: str) -> None:
    """What torch's constructor refuses is refused with the same error."""
    ours, theirs, _ = CELLS[cell]
    assert error_of(WRONG_CONSTRUCTORS[case], ours) == error_of(WRONG_CONSTRUCTORS[case], theirs)


@pytest.mark.parametrize(
    ("cell", "case"), [(c, case) for c in CELLS for case in WRONG_INPUTS if c != "lstm" or case not in TAKEN_BY_LSTM]
)
def test_wrong_inputs(cell: str, case: str) -> None:
    """What torch's module refuses is refused with the same error."""
    layer, reference = twins(cell)
    theirs = error_of(WRONG_INPUTS[case], reference)
    ours = error_of(WRONG_INPUTS[case], layer)
    assert ours[0] is theirs[0]
    assert ours[1].replace("DropIn", type(reference).__name__) == theirs[1]


WRONG_PAIRS = {
    "one state": lambda module: module(torch.zeros(T, B, I), (torch.zeros(1, B, H),)),
    "rows of c": lambda module: module(torch.zeros(T, B, I), (torch.zeros(1, B, H), torch.zeros(1, B + 1, H))),
    "axes of c": lambda module: module(torch.zeros(T, B, I), (torch.zeros(1, B, H), torch.zeros(B, H))),
    "axes of h, unbatched": lambda module: module(torch.zeros(T, I), (torch.zeros(1, 1, H), torch.zeros(1, 1, H))),
    "dtype of c": lambda module: module(torch.zeros(T, B, I), (torch.zeros(1, B, H), torch.zeros(1, B, H).double())),
}


@pytest.mark.parametrize("case", WRONG_PAIRS)
def test_wrong_states_of_an_lstm(case: str) -> None:
    """Pairs of states that torch refuses are refused with the same error."""
    layer, reference = twins("lstm")
    assert error_of(WRONG_PAIRS[case], layer) == error_of(WRONG_PAIRS[case], reference)


def test_missing_torch_names_the_install_line() -> None:
    """Without torch, the import says what to install."""
    program = "import sys; sys.modules['torch'] = None; import tidegate.torch"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ImportError: tidegate.torch needs PyTorch: pip install 'tidegate[train]'" in done.stderr
