from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float32]
Integers: TypeAlias = npt.NDArray[np.int64]

__version__: str

def isas() -> list[str]: ...
def activation(isa: str, name: str, x: Array, result: Array, /) -> None: ...
def multiply_adds(isa: str, threads: int, rounds: int) -> int: ...
def read(isa: str, arrays: Sequence[Array], rounds: int) -> None: ...
def meeting_seconds(threads: int, rounds: int) -> float: ...
def stay_awake(nanoseconds: int, /) -> None: ...
def step(layers: Sequence[PackedLayer], x: object, h: object, y: object, threads: int) -> bool: ...
def empty(shape: Sequence[int]) -> Array: ...

class Shape:
    def __init__(
        self,
        T: int,
        B: int,
        lengths: Integers | None,
        step_start: Integers | None,
        reverse: bool,
        resets: npt.NDArray[np.uint8] | None,
        reset_to_h0: bool,
        ids: Integers | None,
    ) -> None: ...

class PackedLayer:
    def __init__(
        self,
        cell: tuple[str, str, str, str, str],
        w_ih: Array | None,
        w_hh: Array | None,
        b_ih: Array | None,
        b_hh: Array | None,
        isa: str,
        threads: int,
    ) -> None: ...
    def forward(
        self,
        shape: Shape,
        x: Array,
        h0: Array | None,
        y: Array,
        h_n: Array,
        trace: Array | None,
        clears_trace: bool,
        threads: int,
    ) -> None: ...
    def backward(
        self,
        shape: Shape,
        x: Array,
        h0: Array | None,
        y: Array,
        trace: Array | None,
        dy: Array | None,
        dh_n: Array | None,
        dx: Array | None,
        dh0: Array | None,
        dw_ih: Array,
        dw_hh: Array,
        db_ih: Array | None,
        db_hh: Array | None,
        trace_steps: int,
        threads: int,
    ) -> None: ...
    def step(self, x: object, h: object, y: object, threads: int) -> bool: ...
