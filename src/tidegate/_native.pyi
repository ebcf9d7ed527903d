from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__version__: str

Floats: TypeAlias = npt.NDArray[np.float32]
Maybe: TypeAlias = Floats | None

def isas() -> list[str]: ...
def multiplies_bfloat16(isa: str, /) -> bool: ...
def _use_dots(wanted: bool) -> None: ...
def activation(isa: str, name: str, x: Floats, result: Floats, /) -> None: ...
def cell_numbers(isa: str, name: str, choices: Sequence[int], /) -> tuple[int, int, int, bool]: ...
def multiply_adds(isa: str, threads: int, rounds: int, /) -> int: ...
def read(isa: str, arrays: Sequence[Floats], rounds: int, /) -> None: ...
def barrier_seconds(threads: int, rounds: int, /) -> float: ...
def stay_awake(nanoseconds: int, /) -> None: ...
def empty(shape: Sequence[int], /) -> Floats: ...

class BatchRows:
    def __init__(
        self,
        T: int,
        B: int,
        lengths: npt.NDArray[np.int64] | None,
        step_start: npt.NDArray[np.int64] | None,
        reverse: bool,
        episode_starts: npt.NDArray[np.uint8] | None,
        episodes_from_h0: bool,
        ids: npt.NDArray[np.int64] | None,
        table_rows: int,
    ) -> None: ...

States: TypeAlias = Sequence[Maybe]
CellName: TypeAlias = tuple[str, Sequence[int], str, bool]
StackSizes: TypeAlias = tuple[int, int, int, int, bool]
TensorResults: TypeAlias = tuple[Any, ...] | None

class PackedLayer:
    def __init__(
        self, cell: str, choices: Sequence[int], weights: tuple[Floats, Floats, Maybe, Maybe], isa: str, threads: int
    ) -> None: ...
    @staticmethod
    def small(
        cell: str,
        choices: Sequence[int],
        element: str,
        weights: tuple[npt.NDArray[Any], npt.NDArray[Any], Maybe, Maybe],
        biases: tuple[Maybe, Maybe],
        isa: str,
        threads: int,
    ) -> PackedLayer: ...
    @staticmethod
    def borrow(
        cell: str, choices: Sequence[int], input_size: int, hidden_size: int, addresses: Sequence[int], isa: str
    ) -> PackedLayer: ...
    def forward(
        self,
        rows: BatchRows,
        inputs: tuple[Floats, States],
        outputs: tuple[Floats, States, Maybe, Maybe],
        clears_trace: bool,
        threads: int,
    ) -> None: ...
    def backward(
        self,
        rows: BatchRows,
        inputs: tuple[Floats, States],
        saved: tuple[Floats, Maybe, Maybe],
        output_gradients: tuple[Maybe, States],
        gradients: tuple[Maybe, States, Floats, Floats, Maybe, Maybe],
        trace_steps: int,
        threads: int,
    ) -> None: ...
    def step(self, x: Any, before: Any, after: Any, threads: int) -> bool: ...

class PackedStack: ...

class Tensors:
    def __init__(self, exchange: Any, types: tuple[type, ...]) -> None: ...
    def run(
        self, cell: CellName, sizes: StackSizes, inputs: tuple[Any, ...], batch_first: bool, threads: int
    ) -> TensorResults: ...
    def pack(self, cell: CellName, sizes: StackSizes, weights: tuple[Any, ...], threads: int) -> PackedStack | None: ...
    def run_packed(
        self, stack: PackedStack, inputs: tuple[Any, ...], batch_first: bool, threads: int
    ) -> TensorResults: ...
    def forward(
        self,
        cell: CellName,
        sizes: StackSizes,
        rows: BatchRows,
        inputs: tuple[Any, ...],
        K: int,
        clears_trace: bool,
        threads: int,
    ) -> TensorResults: ...
    def backward(
        self,
        cell: CellName,
        sizes: StackSizes,
        rows: BatchRows,
        inputs: tuple[Any, ...],
        needed: tuple[bool, bool],
        trace_steps: int,
        threads: int,
    ) -> TensorResults: ...

class WordTable:
    def __init__(self, tags: Sequence[str]) -> None: ...
    def __len__(self) -> int: ...
    def add(self, words: Sequence[str]) -> npt.NDArray[np.int32]: ...
    def words(self) -> list[str]: ...
    def cut(
        self, texts: Sequence[str], unknown: int | None
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], str]: ...

def step(layers: Sequence[PackedLayer], x: Any, before: Any, after: Any, threads: int) -> bool: ...
def step_streams(layers: Sequence[PackedLayer], x: Any, states: Any, places: Any, threads: int) -> None: ...
