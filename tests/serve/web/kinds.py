"""The small models whose pages are looked at."""

from typing import Any

TEXT = "a good film, and a bad film, and nothing but a film"
KINDS: dict[str, dict[str, Any]] = {
    "gru": {"texts": [TEXT]},
    "deep": {"num_layers": 2, "bidirectional": True, "summary": "mean+max", "labels": ("1", "so-so", "good", "best")},
    "rnn": {"cell": "rnn_tanh", "bidirectional": True},
    "lstm": {"cell": "lstm", "texts": [TEXT]},
    "before": {"cell": "gru reset=before", "texts": [TEXT]},
    "chosen": {"cell": "gru reset=off candidate=relu", "max_length": 9},
    "fixed": {"cell": "gru reset=off update=off"},
    "average": {"cell": "average"},
    "compound": {"cell": "compound"},
}
