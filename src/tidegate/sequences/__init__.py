"""Sequences of numbers to summary vectors, on numpy: stacks of recurrent layers, averages and compounding."""

from tidegate.sequences.recurrent import Recurrent as Recurrent
from tidegate.sequences.summaries import average as average
from tidegate.sequences.summaries import compound as compound
