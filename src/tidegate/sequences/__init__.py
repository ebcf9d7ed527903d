"""Sequences of numbers to summary vectors, on numpy: stacks of recurrent layers, averages and compounding."""

from tidegate.sequences.pooling import average as average
from tidegate.sequences.pooling import compound as compound
from tidegate.sequences.recurrent import Recurrent as Recurrent
