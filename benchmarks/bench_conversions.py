"""How exact is each way out of tidegate, and back? Random networks in files of each format, converted back.

pip install --group export
python benchmarks/bench_conversions.py [--networks 10] [--pairs]

Cells, layers, directions, biases, summaries, tasks and sizes are drawn. The program that a file is for runs it on
ragged batches, rows of no step among them; then the file is converted back, if it holds all that a model is. Errors are
the largest ones of the certificates; what a format cannot hold is refused.
"""

import argparse
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tidegate import Network, NetworkConfig, SequenceConfig, SequenceModel, TextConfig, TextModel
from tidegate.convert import Certificate, convert
from tidegate.convert.keras.code import keras_layers
from tidegate.convert.to_c import to_c
from tidegate.convert.to_keras import to_keras
from tidegate.convert.to_onnx import to_onnx
from tidegate.convert.to_torch import to_torch
from tidegate.convert.torch.code import torch_code
from tidegate.text.tokenizer import Tokenizer

CELLS = ("gru", "gru reset=before", "gru candidate=relu gate=hard_sigmoid", "lstm", "rnn_tanh", "rnn_relu")
SUMMARIES = ("last", "mean", "max", "mean+max")
KINDS = ("vectors", "numbers", "texts")
TEXTS = ["a good film . a dull bad film , it was very long and boring ; the best !"] * 3


class Form(NamedTuple):
    """A way out: how it is written, and whether a file is all that a model is, so that it can be converted back."""

    suffix: str
    write: Callable[[Network, Path], Any]
    returns: bool = True


FORMS = {
    "ONNX": Form(".onnx", to_onnx),
    "ONNX, in pieces": Form(".onnx", lambda model, path: to_onnx(model, path, streaming=True)),
    "PyTorch, .pt": Form(".pt", to_torch),
    "PyTorch, .safetensors": Form(".safetensors", to_torch),
    "Keras, .weights.h5": Form(".weights.h5", to_keras),
    "Keras, .keras": Form(".keras", to_keras),
    "C": Form(".c", to_c, returns=False),
}


class Trip(NamedTuple):
    """What came of one file.

    Attributes:
        out: How it was compared with the model; None where the program is not installed.
        back: How the model that it became was compared; None where it was not converted back.
        same: Whether that has the very numbers that the first one has.
    """

    out: Certificate | None
    back: Certificate | None = None
    same: bool = False


def drawn(kind: str, seed: int) -> Network:
    """A network with random options and weights."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 5))
    sizes = {"hidden_size": int(rng.integers(1, 9)), "num_layers": int(rng.integers(1, 4))}
    labels = {"labels": tuple("abcd"[:count]), "task": str(rng.choice(["classification", "regression"]))}
    chosen: dict[str, Any] = {"cell": CELLS[seed % len(CELLS)], "summary": str(rng.choice(SUMMARIES))} | sizes | labels
    chosen |= {name: bool(rng.random() < 0.5) for name in ("bidirectional", "bias")}
    config: Any
    if kind == "texts":
        tokenizer = Tokenizer.train(TEXTS, vocab_size=30)
        config = TextConfig(vocab_size=len(tokenizer), embedding_size=int(rng.integers(1, 6)), **chosen)
        return TextModel(config, tokenizer, _weights(config, rng))
    if kind == "numbers":
        config = SequenceConfig(features=int(rng.integers(1, 6)), **chosen)
        return SequenceModel(config, _weights(config, rng))
    config = NetworkConfig(input_size=int(rng.integers(1, 6)), **chosen)
    return Network(config, _weights(config, rng))


def _weights(config: Any, rng: np.random.Generator) -> dict[str, Any]:
    most = config.hidden_size**-0.5  # as PyTorch draws them
    arrays = {name: rng.uniform(-most, most, shape).astype(np.float32) for name, shape in config.shapes().items()}
    if "features.scale" in arrays:
        arrays["features.scale"] = np.abs(arrays["features.scale"]) + np.float32(0.5)
    return arrays


def trip(model: Network, form: Form, folder: Path) -> Trip:
    """Writes a model and, if the file is all of it, converts it back.

    Raises:
        ValueError: The format has no such model, or the file cannot be converted back.
    """
    path = folder / f"model{form.suffix}"
    written = form.write(model, path)
    compiled = getattr(written, "compiled", written)  # of C, whose file is compiled
    out = getattr(compiled, "certificate", compiled)
    if not form.returns:
        return Trip(out)
    again, back = convert(path, **(_said(model) if form.suffix == ".pt" else {}))
    same = again.arrays.keys() == model.arrays.keys() and again.config == model.config
    return Trip(out, back, same and all(np.array_equal(again.arrays[n], array) for n, array in model.arrays.items()))


def brought_in(model: Network, source: str, folder: Path) -> Network:
    """The model that one of another program becomes, which was made of a drawn one."""
    return convert(SOURCES[source](model, folder), **_said(model)).model


def _module(model: Network, _: Path) -> Any:
    import torch  # noqa: PLC0415

    program: dict[str, Any] = {}
    exec(torch_code(model), program)  # noqa: S102 - our own
    module = program["Model"]()
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in model.arrays.items()})
    return module


def _weights_alone(model: Network, folder: Path) -> Path:
    path = folder / "source.pt"
    to_torch(model, path)
    return path


def _graph(model: Network, folder: Path) -> Path:
    import onnx  # noqa: PLC0415

    path = folder / "source.onnx"
    to_onnx(model, path)
    proto = onnx.load(path)
    del proto.metadata_props[:]
    onnx.save(proto, path)
    return path


def _sequential(model: Network, folder: Path) -> Path:
    from tidegate.convert.keras.runtime import import_keras  # noqa: PLC0415

    keras = import_keras()
    steps = {"last": [], "mean": ["layers.GlobalAveragePooling1D()"], "max": ["layers.GlobalMaxPooling1D()"]}
    parts = keras_layers(model)
    head = [part.code for part in parts if part.folder == "dense"]
    codes = [part.code for part in parts if part.folder != "dense"] + steps[model.summary] + head
    made = keras.Sequential([keras.Input((None, model.config.input_size))])
    for code in codes:
        made.add(eval(code, {"layers": keras.layers}))  # noqa: S307 - our own
    made.set_weights([array for part in parts for array in part.weights.values()])
    path = folder / "source.keras"
    made.save(path)
    return path


SOURCES: dict[str, Callable[[Network, Path], Any]] = {
    "ONNX, no metadata": _graph,
    "PyTorch, a module": _module,
    "PyTorch, .pt": _weights_alone,
    "Keras, layers in a row": _sequential,
}
"""How a drawn network becomes one of another program."""


def _said(model: Network) -> dict[str, Any]:
    """What a file of weights alone does not say."""
    words = model.tokenizer.vocab if model.tokenizer else None
    facts = {name: getattr(model.config, name) for name in ("cell", "summary", "task", "labels")}
    return facts | {"words": words}


def rows(networks: int) -> Iterator[str]:
    """Lines of the table."""
    yield "| file | " + " | ".join(f"{kind}: written and run | converted back" for kind in KINDS) + " |"
    yield "|---" * (1 + 2 * len(KINDS)) + "|"
    with tempfile.TemporaryDirectory() as folder:
        for name, form in FORMS.items():
            cells: list[str] = []
            for kind in KINDS:
                trips, refused = [], 0
                for seed in range(networks):
                    try:
                        trips.append(trip(drawn(kind, seed), form, Path(folder)))
                    except ValueError:
                        refused += 1
                cells += _summed(trips, refused)
            yield f"| {name} | " + " | ".join(cells) + " |"


def pairs(networks: int) -> Iterator[str]:
    """Lines of the table of what comes in and goes out: how many came through, and their largest error."""
    yield "| from | " + " | ".join(FORMS) + " |"
    yield "|---" * (1 + len(FORMS)) + "|"
    models = [model for model in (drawn("vectors", seed) for seed in range(4 * networks)) if "+" not in model.summary]
    with tempfile.TemporaryDirectory() as folder:
        for source in SOURCES:
            read = [brought_in(model, source, Path(folder)) for model in models[:networks]]
            cells = [_through(read, form, Path(folder)) for form in FORMS.values()]
            yield f"| {source} | " + " | ".join(cells) + " |"


def _through(models: list[Network], form: Form, folder: Path) -> str:
    """Writes models in one form and converts them back."""
    trips, refused = [], 0
    for model in models:
        try:
            trips.append(trip(model, form, folder))
        except ValueError:
            refused += 1
    proofs = [proof.error for each in trips for proof in (each.out, each.back) if proof]
    same = f", {sum(each.same for each in trips)} the same bits" * form.returns
    return f"{len(trips)}, {max(proofs):.0e}{same}{f', {refused} refused' * bool(refused)}"


def _summed(trips: list[Trip], refused: int) -> tuple[str, str]:
    """How many went out and came back, the largest errors, and how many were refused."""
    outs = [each.out.error for each in trips if each.out]
    backs = [each.back.error for each in trips if each.back]
    rest = f", {refused} refused" * bool(refused)
    first = f"{len(outs)}, {max(outs):.0e}{rest}" if outs else f"—{rest}"
    same = sum(each.same for each in trips)
    return first, f"{len(backs)}, {max(backs):.0e}, {same} the same bits" if backs else "—"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=10, help="of each kind and format")
    parser.add_argument("--pairs", action="store_true", help="instead: what other programs wrote, in all forms")
    options = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras
        for row in (pairs if options.pairs else rows)(options.networks):
            print(row, flush=True)


if __name__ == "__main__":
    main()
