"""The shapes that are measured: what people use a GRU for on a CPU, each with the place that it comes from."""

import re
from dataclasses import dataclass, field, replace

from tidegate.ops.cells import Cell as RecurrentCell

INFERENCE, TRAINING = "inference", "training"

# Words of the 25,000 training reviews of the Large Movie Review Dataset (Maas et al. 2011), counted by the pattern
# [\w']+ without the line breaks, and cut at 400: the quantiles 0 %, 5 %, ..., 100 %. Their mean is 208.
REVIEWS = (10, 64, 90, 110, 120, 127, 134, 143, 152, 162, 174, 189, 206, 227, 252, 283, 324, 376, 400, 400, 400)


@dataclass(frozen=True)
class Cell:
    """One shape of the grid: a stack of recurrent layers over a batch.

    Attributes:
        use: What it is for, or the model that has this shape.
        I: Input features.
        H: Hidden units.
        T: Time steps, of the longest row if `lengths` says that they differ.
        B: Rows.
        kinds: What is measured: inference, a training step, or both.
        layers: Layers of the stack.
        bidirectional: Whether each layer walks in both directions.
        lengths: Quantiles of the rows' lengths, evenly spaced from the shortest to the longest; empty for T everywhere.
        episode: Mean length in steps of the episodes that a row consists of; 0 for one that goes on to the end.
        network: The cell of the layers, by the name that tidegate gives it.
    """

    use: str
    I: int
    H: int
    T: int
    B: int
    kinds: tuple[str, ...] = (INFERENCE, TRAINING)
    layers: int = 1
    bidirectional: bool = False
    lengths: tuple[int, ...] = field(default=(), repr=False)
    episode: int = 0
    network: str = "gru"

    @property
    def name(self) -> str:
        """Use and shape, which no other cell of the grid shares."""
        return f"{self.use} {self.shape}"

    @property
    def shape(self) -> str:
        """I/H/T/B, and what else there is to know: ×3 layers, ⇄ two directions, ~ ragged rows, | episodes."""
        marks = [f"×{self.layers}"] * (self.layers > 1) + ["⇄"] * self.bidirectional
        marks += ["~"] * bool(self.lengths) + ["|"] * bool(self.episode)
        return " ".join([f"{self.I}/{self.H}/{self.T}/{self.B}", *marks])

    @property
    def directions(self) -> int:
        """D: 2 if bidirectional, else 1."""
        return 1 + self.bidirectional

    @property
    def gates(self) -> int:
        """G, as the network declares it."""
        return RecurrentCell.of(self.network).G

    @property
    def states(self) -> int:
        """S, likewise."""
        return RecurrentCell.of(self.network).S


# Contenders may be added by cell in peers/; what a cell needs of them is said by its fields alone.
GRID = (
    Cell("Mycroft Precise", 13, 20, 29, 1, (INFERENCE,)),  # a wake word from 13 cepstral coefficients
    Cell("RNNoise", 384, 384, 1, 1, (INFERENCE,), layers=3),  # Valin 2018, a frame of 10 ms
    Cell("DeepFilterNet", 256, 256, 1, 1, (INFERENCE,), layers=3),  # Schröter et al. 2022, a frame
    Cell("one step", 64, 64, 1, 1),
    Cell("one step", 128, 384, 1, 1, (INFERENCE,)),
    Cell("GRU4Rec", 224, 224, 1, 80, (TRAINING,)),  # Hidasi et al. 2016: sessions side by side, a click at a time
    Cell("GRU4Rec", 512, 512, 1, 240, (TRAINING,)),
    Cell("one sequence", 128, 128, 200, 1),
    Cell("one sequence", 512, 512, 200, 1),
    Cell("one sequence", 384, 256, 128, 1, (INFERENCE,), bidirectional=True),
    Cell("one spectrogram", 128, 128, 629, 1),
    Cell("spectrograms", 128, 128, 629, 128),
    Cell("small batch", 100, 128, 200, 32),
    Cell("small batch", 100, 64, 200, 64),
    Cell("sensors", 8, 32, 1000, 128),
    Cell("qlib Alpha360", 6, 64, 60, 800, (TRAINING,), layers=2),  # Yang et al. 2020: 60 days of six prices
    Cell("wide", 512, 512, 64, 16),
    Cell("speech", 256, 512, 200, 32),
    Cell("wide", 512, 1024, 100, 64),
    Cell("Deep Speech 2", 1760, 1760, 100, 64),  # Amodei et al. 2016, as in Baidu's DeepBench
    Cell("conv-GRU", 128, 128, 2048, 32, (TRAINING,)),
    Cell("DIEN", 36, 36, 100, 128, (TRAINING,), lengths=(1, 100)),  # Zhou et al. 2019: what a user clicked on
    Cell("reviews", 100, 128, 400, 64, lengths=REVIEWS),
    Cell("reviews", 100, 128, 400, 64, lengths=REVIEWS, bidirectional=True),
    Cell("documents", 300, 256, 200, 128, (INFERENCE,), bidirectional=True, lengths=(1, 200)),
    Cell("recurrent PPO", 128, 128, 128, 256, (TRAINING,), episode=32),
    Cell("recurrent PPO", 128, 256, 128, 128, (TRAINING,), episode=32),
)


def chosen(kind: str, pattern: str = "", network: str = "gru") -> list[Cell]:
    """Returns the cells in which a kind is measured and whose name has the pattern, as layers of a network."""
    found = (cell for cell in GRID if kind in cell.kinds and re.search(pattern, cell.name))
    return [replace(cell, network=network) for cell in found]
