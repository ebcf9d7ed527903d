"""Recurrent networks, fast on the CPU you have."""

from tidegate.ops import get_num_threads as get_num_threads
from tidegate.ops import isas as isas
from tidegate.ops import set_num_threads as set_num_threads
