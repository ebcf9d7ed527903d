"""Writes the files of Keras that the tests read, and what Keras computes with them: needs keras 3.15 and torch."""

import json
import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
from keras import layers

FOLDER = Path(__file__).parent
BIAS = {"bias_initializer": "random_normal"}


def models() -> dict[str, keras.Model]:
    """Small models with what is easily read wrongly."""
    cell = {"reset_after": False, "recurrent_activation": "hard_sigmoid"} | BIAS
    words = [
        layers.Input((None,)),
        layers.Embedding(9, 3, mask_zero=True),
        layers.Bidirectional(layers.GRU(3, return_sequences=True, **cell)),
        layers.SpatialDropout1D(0.5),
        layers.GRU(2, name="other", **cell),
        layers.Dense(3, activation="softmax", **BIAS),
    ]
    x = layers.Input((None, 2))
    y = layers.LSTM(2, return_sequences=True, **BIAS)(x)
    y = layers.GlobalAveragePooling1D()(layers.LSTM(3, return_sequences=True, **BIAS)(y))
    return {
        "words.keras": keras.Sequential(words),
        "numbers.h5": keras.Model(x, layers.Dense(1, activation="sigmoid", **BIAS)(y)),
    }


def main() -> None:
    """Writes them."""
    keras.utils.set_random_seed(1)
    rng, expected = np.random.default_rng(0), {}
    for name, model in models().items():
        model.save(FOLDER / name)
        results = []
        for steps in (1, 4, 7):
            shape = (1, steps) if name == "words.keras" else (1, steps, 2)
            source = rng.integers(0, 9, shape) if len(shape) == 2 else rng.standard_normal(shape).round(2)
            outputs = keras.ops.convert_to_numpy(model(keras.ops.convert_to_tensor(source)))
            results.append({"source": source[0].tolist(), "outputs": outputs[0].tolist()})
        expected[name] = results
    (FOLDER / "expected.json").write_text(json.dumps(expected), encoding="utf-8")


if __name__ == "__main__":
    main()
