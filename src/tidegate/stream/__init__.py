"""Streams: sequences that are read as they arrive, one at a time or many together, to the bit as if they came whole."""

from tidegate.stream.open_sessions import Memory as Memory
from tidegate.stream.pool import StreamPool as StreamPool
from tidegate.stream.requests import Push as Push
from tidegate.stream.session import Session as Session
from tidegate.stream.slots import Answers as Answers
from tidegate.stream.state import StateError as StateError
