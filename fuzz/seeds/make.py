"""Writes the seeds: small files and messages that are right, or a little damaged, from which inputs are made.

python fuzz/seeds/make.py
"""

import gzip
import io
import json
import struct
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import helper, numpy_helper
from safetensors.numpy import save

FOLDER = Path(__file__).parent
sys.path.append(str(FOLDER.parent / "targets"))

from models import make_model  # noqa: E402 - the folder must be known before
from tidegate.convert.to_keras import keras_texts  # noqa: E402 - likewise

ROWS = [("a good film", "good"), ('bad, "very" bad', "bad"), ("naïve\n✓", "good"), ("", "bad")]
RECORDS = [{"text": text, "label": label, "more": {"a": [1, None, 0.5]}} for text, label in ROWS]


def models() -> dict[str, bytes]:
    """Model files of three kinds."""
    found = {}
    for cell in ("gru", "lstm", "average"):
        make_model(cell).save(path := FOLDER / "model")
        found[cell] = path.read_bytes()
        path.unlink()
    return found | {"cut": found["gru"][:900], "short": found["gru"][:10]}


def parts() -> dict[str, bytes]:
    """The parts of models, as `model_parts.py` reads them."""
    found = {}
    for cell, changes in {"gru": {}, "lstm": {"num_layers": 2, "summary": "mean"}, "compound": {}}.items():
        model = make_model(cell, **changes)
        shapes = json.dumps({name: array.shape for name, array in model.arrays.items()})
        texts = [
            model.config.to_json(),
            model.tokenizer.to_json(),
            '{"accuracy": 0.5}',
            '{"tidegate": "0.1.0"}',
            shapes,
        ]
        found[cell] = "\n----\n".join(texts).encode()
    return found


def tables() -> dict[str, bytes]:
    """Tables in text; the first byte is the kind, the second one what is done with them."""
    quoted = ['"' + text.replace('"', '""') + f'",{label}' for text, label in ROWS]
    comma = "\n".join(["text,label", *quoted]).encode()
    lines = "\n".join(map(json.dumps, RECORDS)).encode()
    found = {
        "comma": (0, comma),
        "semicolon": (0, comma.replace(b",", b";")),
        "tab": (1, comma.replace(b",", b"\t")),
        "lines": (2, lines),
        "array": (3, json.dumps(RECORDS, indent=1).encode()),
        "columns": (3, json.dumps({"text": {"0": "a"}, "label": {"0": "b"}}).encode()),
        "texts": (4, b"a good film\r\na bad film\r\n"),
        "comma_gz": (5, gzip.compress(comma, mtime=0)),
        "lines_gz": (6, gzip.compress(lines, mtime=0)),
        "wide": (0, "text,label\na,b\n".encode("utf-16")),
        "mac": (0, comma.replace(b"\n", b"\r")),
        "separator": (0, b"sep=;\ntext;label\na;b\n"),
        "sequence": (2, b"".join(b"\x1e%b\n" % line for line in lines.splitlines())),
    }
    return {name: bytes([kind, way]) + table for way, (name, (kind, table)) in enumerate(found.items())}


def parquet() -> dict[str, bytes]:
    """Parquet tables of plain and nested columns."""
    found = {}
    for name, compression in {"plain": "none", "snappy": "snappy"}.items():
        file = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(RECORDS), file, compression=compression)
        found[name] = file.getvalue()
    return found


def vectors() -> dict[str, bytes]:
    """Word vectors in several formats; the first byte is the suffix."""
    words, table = ["a", "good", "film"], np.arange(6, dtype=np.float32).reshape(3, 2)
    text = "\n".join(f"{word} {x} {y}" for word, (x, y) in zip(words, table.tolist(), strict=True)).encode()
    npz, npy = io.BytesIO(), io.BytesIO()
    np.savez(npz, words_utf8=np.frombuffer("\n".join(words).encode(), np.uint8), vectors=table)
    np.save(npy, table)
    binary = b"3 2\n" + b"".join(word.encode() + b" " + row.tobytes() for word, row in zip(words, table, strict=True))
    return {
        "glove": b"\0" + text,
        "fasttext": b"\1" + b"3 2\n" + text,
        "gz": b"\2" + gzip.compress(text, mtime=0),
        "npz": b"\3" + npz.getvalue(),
        "npy": b"\4" + npy.getvalue(),
        "safetensors": b"\5" + save({"vectors": table}, {"words": "\n".join(words)}),
        "word2vec": b"\6" + binary,
    }


QUESTIONS = (
    {"text": "a good film"},
    {"text": "a bad film", "gate": "update"},
    {"text": "film", "layer": 0, "reverse": False},
    {"vectors": [[0.5, -1.0], [2, 3e38]], "layer": 1, "reverse": True},
    {"text": "a film", "unit": 1},
    {"text": "a film", "unit": 0, "step": 1, "values": {"update": 0.5, "reset": 1.0}},
)


def messages() -> dict[str, bytes]:
    """Each question, to each model."""
    return {
        f"{model}_{place}": bytes([model, place]) + json.dumps(question).encode()
        for model in range(5)
        for place, question in enumerate(QUESTIONS)
    }


def server() -> dict[str, bytes]:
    """Requests."""
    host = b"Host: 127.0.0.1:8000\n"
    paths = ("words", "gates", "ledger", "flow", "unit", "what-if")
    found = {
        path: f"POST\n/api/{path}\nContent-Type: application/json\n".encode()
        + host
        + b"\n"
        + json.dumps(question).encode()
        for path, question in zip(paths, QUESTIONS, strict=True)
    }
    return found | {
        "page": b"GET\n/\n" + host,
        "script": b"GET\n/page.js?v=1\nRange: bytes=0-9\nIf-None-Match: x\n" + host,
        "model": b"GET\n/api/model\nAccept-Encoding: gzip\n" + host,
        "stranger": b"GET\n/\nHost: example.org\n",
        "options": b"OPTIONS\n/api/words\nOrigin: http://example.org\nAccess-Control-Request-Method: POST\n" + host,
        "outside": b"GET\n/..%2f..%2fpage.py\n" + host,
        "form": b"POST\n/api/words\nContent-Type: multipart/form-data; boundary=a\n" + host + b"\n--a\0--a--",
        "head": b"HEAD\n/api/model\n" + host,
    }


def _record(name: str, array: np.ndarray[Any, Any]) -> bytes:
    """An array in a file of weights of RNNoise."""
    kind, data = (1, array.tobytes()) if array.dtype.kind == "i" else (0, array.astype(np.float32).tobytes())
    return struct.pack("<4siiii44s", b"DNNw", 0, kind, len(data), len(data), name.encode()) + data


def foreign() -> dict[str, bytes]:
    """Files of other frameworks: nodes of ONNX with weights that are there or computed, Keras, a state_dict."""
    rng = np.random.default_rng(0)

    def constant(name: str, *shape: int) -> onnx.TensorProto:
        return numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name)

    def model(nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]) -> bytes:
        x, y = (helper.make_tensor_value_info(name, 1, ["B", "T", 2]) for name in "xy")
        graph = helper.make_graph(nodes, "g", [x], [y], constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()

    gru = [constant("W", 1, 6, 2), constant("R", 1, 6, 2), constant("B", 1, 12)]
    halves = [constant("w", 1, 4, 2), constant("v", 1, 4, 2), constant("r", 1, 2, 8), constant("h", 3, 2)]
    folder = FOLDER.parent.parent / "tests" / "convert" / "keras"
    lstm = [
        helper.make_node("Concat", ["w", "v"], ["W"], axis=1),
        helper.make_node("Transpose", ["r"], ["R"], perm=[0, 2, 1]),
        helper.make_node("LSTM", ["x", "W", "R"], ["", "s"], hidden_size=2, direction="reverse"),
        helper.make_node("Gemm", ["s", "h"], ["t"], transB=1),
        helper.make_node("Softmax", ["t"], ["y"]),
    ]
    shapes = {
        "e.weight": (4, 2),
        "r.weight_ih_l0": (6, 2),
        "r.weight_hh_l0": (6, 2),
        "h.weight": (3, 2),
        "h.bias": (3,),
    }
    blob = {"conv2_bias": rng.standard_normal(8)}
    for side, first in (("input", 4), ("recurrent", 0)):
        own = {"weights_float": rng.standard_normal(3 * 32), "bias": rng.standard_normal(24)}
        own["weights_idx"] = np.tile(np.array([1, first], np.int32), 3)
        blob |= {f"gru1_{side}_{part}": array for part, array in own.items()}
    blob["gru1_recurrent_weights_diag"] = np.ones(24)
    return {
        "rnnoise": b"".join(_record(name, array) for name, array in blob.items()),
        "gru.onnx": model([helper.make_node("GRU", ["x", "W", "R", "B"], ["", "y"], hidden_size=2, clip=1.0)], gru),
        "lstm.onnx": model(lstm, halves),
        "weights": save({name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}),
        "config.json": zipfile.ZipFile(folder / "words.keras").read("config.json"),
        "ours.json": json.dumps(keras_texts(make_model())).encode(),
    }


SEEDS = {
    "model_file": models,
    "model_parts": parts,
    "tables": tables,
    "parquet": parquet,
    "vectors": vectors,
    "messages": messages,
    "server": server,
    "foreign": foreign,
}

if __name__ == "__main__":
    for target, make in SEEDS.items():
        (FOLDER / target).mkdir(exist_ok=True)
        for name, content in make().items():
            (FOLDER / target / name).write_bytes(content)
