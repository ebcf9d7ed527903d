"""Streams: sequences that are read as they arrive, one at a time or many together, to the bit as if they came whole.

`session` is one stream. `pool` has many of them by key: `requests` is what they are asked, `open_sessions` which of
them are there. What is read of either is kept in `slots`, by the `parts` of a network; parts of their own are `gaps`
in numbers and `sound`. What a network needs for that is in `streamable`, and `vectors` checks what it is given.
`state` writes a stream down, and `storage` keeps such states on a disk.
"""

from tidegate.stream.open_sessions import Memory as Memory
from tidegate.stream.pool import StreamPool as StreamPool
from tidegate.stream.requests import Push as Push
from tidegate.stream.session import Session as Session
from tidegate.stream.slots import Answers as Answers
from tidegate.stream.state import StateError as StateError
