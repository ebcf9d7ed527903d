"""The recurrent cells, each declared once in a file of its own: equations, gates, states, choices.

>>> from tidegate.ops.cells import CELLS, Cell
>>> {name: cell.blocks for name, cell in CELLS.items()}["lstm"]
('input', 'forget', 'candidate', 'output')
>>> str(Cell.of("gru", reset="before"))
'gru reset=before'
"""

from tidegate.ops.cells.cell import CELLS as CELLS
from tidegate.ops.cells.cell import Cell as Cell
from tidegate.ops.cells.gru import GRU as GRU
from tidegate.ops.cells.lstm import LSTM as LSTM
from tidegate.ops.cells.rnn import ReluRNN as ReluRNN
from tidegate.ops.cells.rnn import TanhRNN as TanhRNN
