"""Tests of configurations with values that nobody meant, in files whose digest is right."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.models.config import TextConfig
from tidegate.models.files import model_file
from tidegate.models.files.model_file import ModelFileError
from tidegate.models.loading import load

GOOD: dict[str, Any] = json.loads(
    TextConfig(cell="gru", labels=("no", "yes"), vocab_size=9, embedding_size=4, hidden_size=8).to_json()
)

# JSON as it stands in the file, since json.dumps writes neither all of this nor all of it so.
NUMBERS = ("1000000000", "-1", "0", "-0", "1e308", "1e999", "-Infinity", "NaN", "8.0", "0.5", "9" * 4000, "9" * 5000)
OTHERS = ("true", "false", '"8"', '""', "[8]", "[]", "{}", '{"a": 8}', '"\\u0000"', '"\\ud800"')
SIZES = ("vocab_size", "embedding_size", "hidden_size", "num_layers", "max_length")
FLAGS = ("bidirectional", "bias")
NAMES = ("cell", "summary", "task")

WRONG = [
    *((name, value) for name in SIZES for value in (*NUMBERS, *OTHERS)),
    *((name, "null") for name in SIZES if name != "max_length"),
    *((name, value) for name in FLAGS for value in (*NUMBERS, *OTHERS[2:], "null")),
    *((name, value) for name in NAMES for value in (*NUMBERS, *OTHERS, "null", '"gru reset"', '"gru cell=of"')),
    *(("rate", value) for value in (*NUMBERS, *OTHERS)),
    *(("labels", value) for value in (*NUMBERS, *OTHERS, "null", '["a"]', '["a", 1]', '["a", null]', '["a", ["b"]]')),
    *(("labels", value) for value in ('["a", true]', '[["a", "b"]]', '["no", "no"]')),
    *(("classes", value) for value in (*NUMBERS, *OTHERS, "[1]", "[[], []]", '[{"a": 1}, 2]', "[1, 2, 3]")),
    *((name, "8") for name in ("", "Cell", "input_size", "__class__", "self", "hidden_size\\u0000")),
]


def write(path: Path, config: str) -> None:
    """Writes a model of texts with this configuration; nothing else of it is ever read."""
    texts = {"config": config, "tokenizer": "{}", "metrics": "{}", "versions": "{}"}
    model_file.write(path, {"a": np.ones(1, np.float32)}, texts)


@pytest.mark.parametrize(("name", "value"), WRONG, ids=lambda text: text[:20])
def test_a_value_out_of_range_is_named(tmp_path: Path, name: str, value: str) -> None:
    """Each is one error that names the file and the value's name, before any array is looked at."""
    path = tmp_path / "model.safetensors"
    values = {key: json.dumps(good) for key, good in GOOD.items()} | {name: value}
    write(path, "{" + ", ".join(f'"{key}": {text}' for key, text in values.items()) + "}")
    with pytest.raises(ModelFileError) as caught:
        load(path)
    error = str(caught.value).removeprefix(f"{path}: ")
    assert len(error) < 600
    assert name.partition("\\")[0] in error or "config is not JSON: Exceeds the limit" in error
    assert not error.startswith(("the model lacks", "the model has")), "the configuration itself was believed"


def test_the_good_values_are_good(tmp_path: Path) -> None:
    """Without a change the configuration is believed, and the arrays are compared with it."""
    write(tmp_path / "model.safetensors", json.dumps(GOOD))
    with pytest.raises(ModelFileError, match=r"the model lacks 'embedding\.weight'"):
        load(tmp_path / "model.safetensors")
