"""`tidegate train`: what it reads, what it says, and what it writes."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tidegate
from tidegate.cli.train import spooling
from tidegate.data import tables

Shell = Callable[..., tuple[int, str, str]]
TO = "-o new.safetensors"


def test_what_was_read_is_told(shell: Shell, small: str) -> None:
    """Texts, labels with their shares, and words are told before training, each epoch in a line after it."""
    code, out, err = shell(f"train train.csv {TO} {small} --cell average --epochs 2")
    assert code == 0
    assert re.search(r"^360 texts to train on and 40 to judge by", out, re.MULTILINE)
    assert re.search(r"^labels: neg \d+%, pos \d+%$", out, re.MULTILINE)
    facts = r"loss \d\.\d+  accuracy \d\.\d+  [\d,]+k? words/s  \d+:\d\d left"
    assert re.search(rf"^average +epoch 1/2  {facts}\naverage +epoch 2/2  {facts}$", err, re.MULTILINE)


def test_network_and_n_grams_are_joined_by_default(shell: Shell, folder: Path, small: str) -> None:
    """The table has each part and both together, what each adds is said, and the model holds both."""
    code, out, _ = shell(f"train train.csv {TO} {small} --no-baselines --parts gru,ngrams")
    assert code == 0
    rows = [re.split(r"\s{2,}", line.strip())[0] for line in out.splitlines()]
    assert [row for row in rows if row in {"GRU", "n-grams", "GRU + n-grams"}] == ["GRU", "n-grams", "GRU + n-grams"]
    number = r"[+−]\d+\.\d"
    added = rf"add {number} points \(95 %: {number} to {number}\) to the GRU\."
    assert re.search(rf"^The n-grams {added}$", out, re.MULTILINE)
    model = tidegate.load(folder / "new.safetensors", tidegate.TextModel)
    assert model.config.ngrams > 0
    assert set(model.metrics["weights"]) == {"counts", "presence", "network"}
    explanation = model.explain("the film is lovely and unheard-of")
    assert explanation.error < 1e-5
    assert explanation.ngrams is not None
    assert explanation.ngrams.any()
    table = tables.read(folder / "test.csv")
    assert (model.predict(table.texts) == np.array(table.labels)).mean() > 0.9
    code, out, _ = shell("stream new.safetensors --to jsonl", stdin="the film is lovely\nand unheard-of\n")
    expected = model.predict_proba(["the film is lovely", "the film is lovely and unheard-of"]).astype(np.float64)
    assert code == 0
    assert [json.loads(line)["p_pos"] for line in out.splitlines()] == expected[:, 1].round(6).tolist()


def test_parts_are_chosen_where_none_is_named(shell: Shell, folder: Path, small: str) -> None:
    """Without `--parts` both are trained, a part that is not needed is named, and every command takes the model."""
    code, out, err = shell(f"train train.csv {TO} {small.replace('--parts network', '')} --no-baselines")
    assert code == 0
    assert {"GRU", "n-grams", "GRU + n-grams"} <= {re.split(r"\s{2,}", line.strip())[0] for line in out.splitlines()}
    config = tidegate.load(folder / "new.safetensors").config
    left_out = {"the n-grams": not config.ngrams, "the network": config.cell == "none"}  # type: ignore[attr-defined]
    for part, missing in left_out.items():
        assert (f"{part} are left out" in err or f"{part} is left out" in err) == missing
    commands = ["evaluate new.safetensors test.csv", "predict new.safetensors test.csv --to jsonl"]
    commands += ["explain new.safetensors 'a lovely film'", "predict new.safetensors --words 'a lovely film'"]
    assert shell("stream new.safetensors", stdin="a lovely film\n")[0] == 0
    for command in [*commands, *["compress new.safetensors -o small.safetensors"] * (config.cell != "none")]:
        assert shell(command)[0] == 0, command


def test_n_grams_alone_need_no_network(shell: Shell, folder: Path, small: str) -> None:
    """`--parts ngrams` writes a model without a network; what needs one says so, the rest works."""
    code, _, err = shell(f"train train.csv {TO} {small} --no-baselines --parts ngrams")
    assert code == 0
    assert "epoch" not in err
    model = tidegate.load(folder / "new.safetensors", tidegate.TextModel)
    assert (model.config.cell, model.config.embedding_size) == ("none", 0)
    assert shell("predict new.safetensors --words 'a lovely film'")[0] == 0
    assert shell("explain new.safetensors 'a lovely film'")[0] == 0
    assert shell("info new.safetensors")[0] == 0
    assert shell("stream new.safetensors", stdin="a lovely film\n")[0] == 0
    assert "neither recurrent weights nor word vectors" in shell("compress new.safetensors -o small.safetensors")[2]
    code, _, err = shell("embed new.safetensors test.csv -o vectors.npy")
    assert code != 0
    assert "n-grams alone" in err
    assert "no gates" in shell("units new.safetensors test.csv")[2]


def test_every_kind_of_table_gives_the_same_model(shell: Shell, folder: Path, small: str) -> None:
    """TSV, JSON Lines and Parquet are trained on like CSV."""
    columns = tables.read(folder / "train.csv").columns
    predictions = []
    for kind in ("csv", "tsv", "jsonl", "parquet"):
        tables.write(folder / f"same.{kind}", columns)
        assert shell(f"train same.{kind} {TO} {small} --no-baselines --epochs 1")[0] == 0
        predictions.append(
            tidegate.load(folder / "new.safetensors", tidegate.TextModel).predict_proba(["good film", "bad film"])
        )
    for other in predictions[1:]:
        np.testing.assert_array_equal(predictions[0], other)


@pytest.mark.parametrize(
    ("validation", "parts"),
    [("test.csv", "400 texts to train on and 50 to judge by"), ("0.25", "300 texts to train on and 100 to judge by")],
)
def test_validation_is_a_file_or_a_share(shell: Shell, small: str, validation: str, parts: str) -> None:
    """A file is judged by as a whole, a share is taken from each class."""
    code, out, _ = shell(f"train train.csv {TO} {small} --no-baselines --epochs 1 --validation {validation}")
    assert code == 0
    assert parts in out


def test_options_reach_the_model(shell: Shell, folder: Path) -> None:
    """Cell, sizes, summary and limits of the command line are those of the model."""
    sizes = "--embedding-size 5 --hidden-size 6 --num-layers 2 --bidirectional --vocab-size 9 --max-length 7"
    code, _, _ = shell(
        f"train train.csv {TO} --no-baselines --epochs 1 --parts network --cell rnn_tanh --summary last {sizes}"
    )
    assert code == 0
    config = tidegate.load(folder / "new.safetensors", tidegate.TextModel).config
    assert (config.cell, config.summary, config.embedding_size, config.hidden_size) == ("rnn_tanh", "last", 5, 6)
    assert (config.num_layers, config.bidirectional, config.vocab_size, config.max_length) == (2, True, 9, 7)


def test_a_chosen_gru_is_trained(shell: Shell, folder: Path, small: str) -> None:
    """`--reset`, `--update`, `--candidate` and `--gate` reach the model, which names them; baselines have none."""
    chosen = "--reset off --update on --candidate relu --gate hard_sigmoid"
    assert shell(f"train train.csv {TO} {small} --epochs 1 {chosen}")[0] == 0
    assert (
        tidegate.load(folder / "new.safetensors", tidegate.TextModel).config.cell
        == "gru reset=off candidate=relu gate=hard_sigmoid"
    )
    assert "GRU, reset gate off, relu candidate, hard sigmoid gate" in shell("info new.safetensors")[1]
    assert shell("predict new.safetensors test.csv")[0] == 0


@pytest.mark.parametrize(
    ("options", "title"),
    [("--cell lstm", "LSTM"), ("--reset before", "GRU, reset gate before"), ("--cell lstm --chrono 9", "LSTM")],
)
def test_every_cell_is_trained(shell: Shell, small: str, options: str, title: str) -> None:
    """An LSTM, and a GRU whose reset gate comes before the product, are trained and named, and predict."""
    code, out, _ = shell(f"train train.csv {TO} {small} {options}")
    assert code == 0
    assert f"The {title.partition(',')[0]} is " in out
    assert re.search(rf"^cell +{title} *$", shell("info new.safetensors")[1], re.MULTILINE)
    assert json.loads(shell("evaluate new.safetensors test.csv --json")[1])["accuracy"] > 0.9


def test_choices_of_a_cell_that_has_none_are_refused(shell: Shell, small: str) -> None:
    """Only a GRU has gates to choose; an unknown cell is named with those that there are."""
    for cell, message in (
        ("rnn_tanh", "reset is 'off' for the cell 'rnn_tanh', which has no such choice"),
        ("average", "--reset is a choice of recurrent cells, but there is none: --cell average"),
    ):
        code, _, err = shell(f"train train.csv {TO} {small} --cell {cell} --reset off")
        assert code == 2
        assert message in err


def test_long_memories_to_start_with(shell: Shell, folder: Path, small: str) -> None:
    """`--chrono` sets the biases of the update gates, which a few steps leave near there; baselines go without."""
    assert shell(f"train train.csv {TO} {small} --epochs 1 --chrono 40")[0] == 0
    bias = tidegate.load(folder / "new.safetensors", tidegate.TextModel).arrays["rnn.bias_ih_l0"]
    H = len(bias) // 3
    assert bias[H : 2 * H].mean() > 1.5
    assert abs(bias[:H].mean()) < 1
    code, _, err = shell(f"train train.csv {TO} {small} --cell rnn_tanh --chrono 40")
    assert code == 2
    assert "chrono is 40.0 for the cell 'rnn_tanh', expected it for" in err


def test_a_given_rate_is_kept(shell: Shell, folder: Path, small: str) -> None:
    """`--rate` is compounding's growth factor."""
    assert shell(f"train train.csv {TO} {small} --no-baselines --cell compound --rate 0.75")[0] == 0
    assert tidegate.load(folder / "new.safetensors", tidegate.TextModel).arrays["rate"].tolist() == [0.75]


def test_a_rate_of_nothing_is_refused(shell: Shell, small: str) -> None:
    """`--rate` needs compounding, as what is asked for or beside it."""
    code, _, err = shell(f"train train.csv {TO} {small} --no-baselines --rate 0.75")
    assert code == 2
    assert "--rate is the growth factor of compounding, which is not trained: --cell gru" in err


def test_frozen_vectors_are_in_the_model(shell: Shell, folder: Path) -> None:
    """`--vectors` sets the embedding and its size, and `--freeze` keeps it."""
    (folder / "vectors.txt").write_text("good 1 2 3\nbad -1 -2 -3\n", encoding="utf-8")
    assert (
        shell(f"train train.csv {TO} --vectors vectors.txt --freeze --no-baselines --epochs 2 --parts network")[0] == 0
    )
    model = tidegate.load(folder / "new.safetensors", tidegate.TextModel)
    assert model.arrays["embedding.weight"][model.tokenizer.vocab.index("good")].tolist() == [1, 2, 3]


def test_rare_words_need_a_vector(shell: Shell, folder: Path) -> None:
    """With `--vectors` a word that stands once is known if the file has a vector for it, in memory and on a disk."""
    lines = (folder / "train.csv").read_text(encoding="utf-8").splitlines()
    text, label = lines[1].rsplit(",", 1)
    table = [*lines, f"splendid {text},{label}", f"quirky {text},{label}"]
    (folder / "rare.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
    (folder / "vectors.txt").write_text("splendid 1 2 3\ngood 3 2 1\n", encoding="utf-8")
    options = "--vectors vectors.txt --validation test.csv --no-baselines --epochs 1 --parts network"
    for more in ("", "--memory 1GB"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(spooling, "_GROWS", 10**9 if more else 1)
            code, out, err = shell(f"train rare.csv {TO} {options} {more}")
        assert code == 0, err
        assert ("read part by part" in out.replace("\n", " ")) == bool(more)
        model = tidegate.load(folder / "new.safetensors", tidegate.TextModel)
        assert {"splendid", "quirky"} & set(model.tokenizer.vocab) == {"splendid"}
        place = model.tokenizer.vocab.index("splendid")
        assert model.arrays["embedding.weight"][place] == pytest.approx([1, 2, 3], abs=0.2)


def test_the_same_seed_gives_the_same_weights(shell: Shell, folder: Path, small: str) -> None:
    """Two trainings with one seed agree in every bit, and another seed gives other weights."""
    arrays = []
    for seed in (5, 5, 6):
        assert shell(f"train train.csv {TO} {small} --seed {seed} --no-baselines")[0] == 0
        arrays.append(tidegate.load(folder / "new.safetensors", tidegate.TextModel).arrays)
    first, again, other = arrays
    assert all(first[name].tobytes() == again[name].tobytes() for name in first)
    assert first["head.weight"].tobytes() != other["head.weight"].tobytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("nothing.csv", "nothing.csv"),
        ("train.csv --text review", "there is no column 'review'; the columns are 'text', 'label'"),
        ("train.csv --validation half", "--validation is 'half', expected a share such as 0.1 or a file"),
        ("train.csv --validation 0", "--validation is 0, but a model's parts are weighed on held-out texts"),
        ("train.csv --validation 1.5", "the validation share is 1.5, expected a number above 0 and below 1"),
        ("train.csv -o nowhere/model.safetensors", "there is no folder nowhere to write model.safetensors to"),
        ("train.csv --ray-address local", "--ray-address needs --storage, a folder or an address"),
        ("train.csv --storage runs", "--storage is where a run on a cluster keeps checkpoints"),
        ("train.csv -o .", ". is a folder, expected the name of a file"),
        ("train.csv --vectors test.csv", "test.csv"),
    ],
)
def test_mistakes_are_told_before_training(shell: Shell, options: str, message: str) -> None:
    """What cannot work is one line on stderr and exit code 2, and no epoch is trained."""
    code, _, err = shell(f"train {options}")
    assert code == 2
    assert re.fullmatch(rf"error: .*{re.escape(message)}.*\n", err)


def test_a_training_that_comes_apart_is_a_failure(shell: Shell, small: str) -> None:
    """A loss that is no longer finite ends with exit code 1 and what to change."""
    code, _, err = shell(
        f"train train.csv {TO} {small} --no-baselines --cell rnn_relu --learning-rate 1e30 --clip 1e30"
    )
    assert code == 1
    assert err.splitlines()[-1].startswith("error: the loss is ")
    assert err.endswith("try a smaller learning rate\n")


def test_texts_without_words_are_told_and_trained_on(shell: Shell, folder: Path, small: str) -> None:
    """Missing and empty texts are counted for the user, and training goes on, also where whole batches are empty."""
    rows = "".join(f"{'' if i < 300 else 'so good'},{i % 2}\n" for i in range(400))
    (folder / "empty.csv").write_text("text,label\n" + rows, encoding="utf-8")
    code, out, err = shell(f"train empty.csv {TO} {small} --no-baselines")
    assert code == 0
    assert "texts: column 'text', labels: column 'label'" in out
    assert re.search(r"^2\d\d texts to train on without a word", err, re.MULTILINE)


def test_how_many_words_have_a_vector_is_told(shell: Shell, folder: Path, small: str) -> None:
    """`--vectors` prints the share of words with a vector; where they are few, a note names frequent words without."""
    rows = [f"{' '.join(f'w{j}' for j in range(i % 20 + 1))} good,{'pos' if i % 2 else 'neg'}" for i in range(80)]
    (folder / "many.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    (folder / "some.txt").write_text("good 1 2 3\nW1 -1 -2 -3\nzebra 0 0 1\n", encoding="utf-8")
    (folder / "few.txt").write_bytes(b"9 3\ngood 1 2 3\nb\xe4d -1 -2 -3\nzebra 0 0 1\n")
    options = f"{TO} {small} --no-baselines --epochs 2"
    code, out, err = shell(f"train many.csv --vectors some.txt --vocab-size 6 {options}")
    assert code == 0, err
    assert "only" not in err
    assert re.search(r"^vectors: 2 of 4 words have a vector, of 3 numbers$", out, re.MULTILINE)
    code, out, err = shell(f"train many.csv --vectors few.txt {options}")
    assert code == 0
    assert re.search(r"^vectors: 1 of 21 words have a vector", out, re.MULTILINE)
    frequent = "without a vector: 'w0', 'w1', 'w2', 'w3', 'w4', 'w5', 'w6', 'w7'\n"
    assert re.search(rf"^only 4\.8% of the words have a vector: is few\.txt for .*{frequent}", err, re.MULTILINE)
    assert "few.txt: 1 of its 3 words are not UTF-8 and were left out" in err
    assert "few.txt: its first line announces 9 words, but there are 3" in err


def test_freezing_needs_vectors(shell: Shell, small: str) -> None:
    """Without word vectors there is nothing to freeze."""
    code, _, err = shell(f"train train.csv {TO} {small} --freeze")
    assert code == 2
    assert "--vectors FILE" in err


def test_texts_that_come_again_are_said(shell: Shell, folder: Path, small: str) -> None:
    """Doubles, contradictions and texts in both parts are a line each; a copy of the training file is seen."""
    lines = (folder / "train.csv").read_text(encoding="utf-8").splitlines()
    (folder / "again.csv").write_text(
        "\n".join([*lines, "only once and again,pos", "only once and again,neg"]), encoding="utf-8"
    )
    (folder / "held.csv").write_text("text,label\nonly once and again,pos\nnot there,neg\n", encoding="utf-8")
    _, _, err = shell(f"train again.csv {TO} {small} --no-baselines --epochs 1 --validation held.csv")
    assert "more than once among those to train on" in err
    assert "with different labels, such as 'only once and again'" in err
    assert "1 of the 2 texts to judge by are trained on too" in err
    tables.write(folder / "same.parquet", tables.read(folder / "train.csv").columns)
    for copy in ("train.csv", "same.parquet"):
        _, _, err = shell(f"train train.csv {TO} {small} --no-baselines --epochs 1 --validation {copy}")
        assert "the rows to judge by are those to train on" in err
