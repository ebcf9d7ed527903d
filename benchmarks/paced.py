"""A client of HTTP that asks at a constant rate, and counts each latency from when its request was due.

A client that waits for answers asks less while the server is slow, and so leaves out what users would have waited
(https://www.youtube.com/watch?v=lJ8ydIuPFeU, "coordinated omission"). Here a request that finds no connection free, or
the client itself late, has waited since its time came. It needs about 30 µs of a processor for each request.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Sequence

_HEAD = (
    "POST /{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    "Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
)


def paced(port: int, path: str, bodies: Sequence[str], rate: float, seconds: float, connections: int) -> list[float]:
    """Posts bodies in turn, so many a second, over so many connections that have one request each under way.

    Returns:
        The seconds from the time at which each request was due to the end of its answer, sorted.

    Raises:
        RuntimeError: An answer was an error, or a connection was closed.
    """
    requests = [(_HEAD.format(path=path, port=port, size=len(body.encode())) + body).encode() for body in bodies]
    sockets = {each.fileno(): each for each in (_connect(port) for _ in range(connections))}
    waiting = select.epoll()
    for number in sockets:
        waiting.register(number, select.EPOLLIN)
    free, due, latencies = deque(sockets), dict[int, float](), list[float]()
    start, made, count = time.perf_counter(), 0, int(rate * seconds)
    while len(latencies) < count:
        now = time.perf_counter()
        while free and made < count and start + made / rate <= now:
            number = free.popleft()
            due[number] = start + made / rate
            sockets[number].sendall(requests[made % len(requests)])
            made += 1
        pause = max(0.0, start + made / rate - time.perf_counter()) if free and made < count else 1.0
        for number, _ in waiting.poll(pause):
            if _is_answered(sockets[number]):
                latencies.append(time.perf_counter() - due.pop(number))
                free.append(number)
    for each in sockets.values():
        each.close()
    return sorted(latencies)


def _connect(port: int) -> socket.socket:
    found = socket.create_connection(("127.0.0.1", port))
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return found


def _is_answered(connection: socket.socket) -> bool:
    """Reads an answer, which comes as one or several segments; it has a Content-Length."""
    data = connection.recv(1 << 16)
    if not data.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"the server answered {data[:200]!r}")
    head, _, body = data.partition(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(body) < size:
        more = connection.recv(1 << 16)
        if not more:
            raise RuntimeError("the server closed a connection within an answer")
        body += more
    return True
