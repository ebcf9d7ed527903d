"""`tidegate train`: what it shows, what it writes, and how it is stopped."""

import itertools
import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate
from tidegate.cli.comparison import Trained, verdict
from tidegate.data import tables
from tidegate.models.metrics import score
from tidegate.training.events import Epoch

Shell = Callable[..., tuple[int, str, str]]
TO = "-o new.safetensors"


def test_three_summaries_stand_side_by_side(shell: Shell, small: str) -> None:
    """Accuracy, macro F1 and seconds of average, compounding and GRU stand in one table, above a verdict."""
    code, out, _ = shell(f"train train.csv {TO} {small} --epochs 30")
    assert code == 0
    rows = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]
    table = {row[0]: row[1:] for row in rows if row[0] in {"average", "compounding", "GRU", "accuracy"}}
    assert list(table) == ["accuracy", "average", "compounding", "GRU"]
    assert table["accuracy"] == ["macro F1", "log-loss", "ECE", "seconds"]
    for name in ("average", "compounding", "GRU"):
        accuracy, f1, log_loss, ece, seconds = map(float, table[name])
        assert accuracy > 0.9
        assert f1 > 0.9
        assert 0 <= ece < 0.5
        assert 0 < log_loss < 0.7
        assert seconds > 0
    assert re.search(r"^The GRU is ", out, re.MULTILINE)
    assert "wrote new.safetensors" in out


def test_the_table_is_kept_in_the_model(shell: Shell, folder: Path, small: str) -> None:
    """The scores on the validation texts, those of the simpler summaries too, can be read from the model."""
    assert shell(f"train train.csv {TO} {small}")[0] == 0
    metrics = tidegate.load(folder / "new.safetensors", tidegate.TextModel).metrics
    assert set(metrics["baselines"]) == {"average", "compound"}
    assert set(metrics["baselines"]["average"]) == {"accuracy", "macro_f1", "log_loss", "ece", "seconds"}
    assert metrics["n"] == 40


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


def trained(title: str, right: int) -> Trained:
    """A model that is right on the first so many of a thousand texts."""
    truth = np.arange(1000) % 2
    report = score(truth, np.eye(2)[np.where(np.arange(1000) < right, truth, 1 - truth)], ("no", "yes"))
    return Trained(title, title == "GRU", Epoch(1, 0.5, report, 1.0, None), 1.0)


@pytest.mark.parametrize(
    ("right", "sentence"),
    [
        (650, "The GRU is NOT better than the average: −5.0 points (95 %: −6."),
        (700, "The GRU is NOT better than the average: +0.0 points (95 %: +0.0 to +0.0). The order"),
        (702, "The GRU is ahead of the average, which may be chance: +0.2 points (95 %: +0.0 to +0.5)."),
        (750, "The GRU is better than the average: +5.0 points (95 %: +3."),
    ],
)
def test_the_verdict_is_a_sentence(right: int, sentence: str) -> None:
    """Whether the GRU beats the average of 700 right answers, and whether chance explains it, is said in words."""
    found = verdict(trained("GRU", right), trained("average", 700), "the average", "The order is of no use.")
    assert found.startswith(sentence)


def test_baselines_can_be_left_out(shell: Shell, small: str) -> None:
    """Without baselines neither they nor a verdict are shown."""
    code, out, err = shell(f"train train.csv {TO} {small} --no-baselines")
    assert code == 0
    assert "average" not in out + err
    assert "GRU" in out


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


def test_ctrl_c_keeps_the_best_model(process: Callable[[str], Any], small: str, tmp_path: Path) -> None:
    """Ctrl-C after the first epoch ends with exit code 130, and the best model so far is written."""
    model = tmp_path / "model.safetensors"
    running = process(f"train train.csv -o {model} --no-baselines {small} --epochs 100000 --patience 100000")
    assert running.stderr is not None
    for line in running.stderr:
        if "epoch 2/" in line:
            running.send_signal(signal.SIGINT)
            break
    out, err = running.communicate()
    assert running.returncode == 130, err
    assert "stopping; Ctrl-C again to stop at once" in err
    assert f"wrote {model}" in out
    assert tidegate.load(model, tidegate.TextModel).predict(["good"])[0] in {"neg", "pos"}


def test_ctrl_c_in_the_first_epoch_writes_nothing(
    shell: Shell, small: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a first epoch has ended there is no model to keep, and that is said."""
    from tidegate.training import loop

    def pressed(*fields: Any) -> loop.Step:
        signal.raise_signal(signal.SIGINT)
        return step(*fields)

    step = loop.Step
    monkeypatch.setattr(loop, "Step", pressed)
    code, _, err = shell(f"train train.csv -o never.safetensors {small}")
    assert code == 130
    assert "stopped before the first epoch of gru ended: there is no model to write" in err
    assert not (folder / "never.safetensors").exists()


def test_a_second_ctrl_c_interrupts() -> None:
    """The first Ctrl-C is a wish, the second one the usual interrupt, and afterwards all is as before."""
    from tidegate.cli.progress import Stop

    usual = signal.default_int_handler
    before = signal.signal(signal.SIGINT, usual)  # a process in the background may have been started without it
    try:
        with Stop() as stop:
            assert not stop.wanted
            signal.raise_signal(signal.SIGINT)
            assert stop.wanted
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is usual
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_bar_moves_on_a_terminal(terminal: Callable[..., str], plain: Callable[[str], str], small: str) -> None:
    """On a terminal of 80 columns a bar shows loss, accuracy, speed and time left, and no line is longer."""
    shown = plain(terminal(f"train train.csv {TO} {small}"))
    facts = r"loss \d\.\d{3}  accuracy \d\.\d{3}  [\d,]+k? words/s  \d+:\d\d left"
    assert re.search(rf"GRU +[━╸╺ ]+ +\d/6  {facts}", shown)
    assert max(len(line) for line in re.split(r"[\r\n]", shown)) <= 80


def test_texts_without_words_are_told_and_trained_on(shell: Shell, folder: Path, small: str) -> None:
    """Missing and empty texts are counted for the user, and training goes on, also where whole batches are empty."""
    rows = "".join(f"{'' if i < 300 else 'so good'},{i % 2}\n" for i in range(400))
    (folder / "empty.csv").write_text("text,label\n" + rows, encoding="utf-8")
    code, out, err = shell(f"train empty.csv {TO} {small} --no-baselines")
    assert code == 0
    assert "texts: column 'text', labels: column 'label'" in out
    assert re.search(r"^2\d\d texts to train on without a word", err, re.MULTILINE)


def test_watching_needs_a_recurrent_layer(shell: Shell, small: str) -> None:
    """An average has no gradients along time."""
    code, _, err = shell(f"train train.csv {TO} {small} --cell average --watch-gradients")
    assert code == 2
    assert "--watch-gradients measures recurrent layers, but there is none: --cell average" in err


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


def test_gradients_are_told_and_kept(shell: Shell, small: str) -> None:
    """With --watch-gradients each epoch has a line about them, and the model file keeps the figures of all epochs."""
    code, _, err = shell(f"train train.csv {TO} {small} --epochs 3 --patience 3 --no-baselines --watch-gradients")
    assert code == 0
    assert len(re.findall(r"^  ∂h_T/∂h_t \w+: a factor \S+ a step.*; ∂loss/∂h_t .* at the end", err, re.MULTILINE)) == 3
    gradients = tidegate.load("new.safetensors", tidegate.TextModel).metrics["gradients"]
    assert len(gradients) == 3
    (walk,) = gradients[0]
    assert walk["distances"] == [0, 1, 3, 8]
    assert walk["log_flow"][0] == 0


def test_what_to_try_is_said_once(shell: Shell, small: str) -> None:
    """A vanilla RNN on long texts has vanishing gradients: the first epoch says what to try, the next do not."""
    long = "a film " * 60
    rows = "".join(f"{'good' if i % 2 else 'bad'} {long},{i % 2}\n" for i in range(60))
    Path("long.csv").write_text("text,label\n" + rows, encoding="utf-8")
    code, _, err = shell(f"train long.csv {TO} {small} --epochs 2 --no-baselines --cell rnn_tanh --watch-gradients")
    assert code == 0
    assert err.count("gradients vanish") == 1
    for remedy in ("--cell gru", "--orthogonal", "--summary mean+max"):
        assert remedy in err


@pytest.mark.parametrize(("distance", "shorter"), [(20, False), (150, True)])
def test_shorter_texts_are_advised_where_most_would_stay(distance: int, shorter: bool) -> None:
    """Cutting texts of 200 words to 20 is no advice, to 150 it is."""
    from tidegate.cli.gradients import _remedies
    from tidegate.models.config import TextConfig
    from tidegate.training.events import LayerGradients
    from tidegate.training.settings import Settings

    facts: dict[str, Any] = {"layer": 0, "reverse": False, "rate": 0.9, "verdict": "", "log_flow": (), "log_loss": ()}
    walk = LayerGradients(trouble="vanish", distance=distance, distances=(0, 200), **facts)
    config = TextConfig(cell="gru", labels=("a", "b"), vocab_size=9, embedding_size=2, hidden_size=2)
    assert (f"shorter texts: --max-length {distance}" in _remedies(walk, config, Settings())) is shorter


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([f"yes,{('yes', 'no')[n % 2]}" if n % 2 == 0 else "no,no" for n in range(60)], "are those of column 'label'"),
        ([f"film {n % 7},u{n}" for n in range(60)], "has 60 different labels in 60 rows"),
        ([f"film {n % 7},{('a', 'b', 'a|b')[n % 3]}" for n in range(60)], "reads as several labels in one cell"),
        ([f"0.{n % 7} 0.5,{'ab'[n % 2]}" for n in range(60)], "the texts of column 'text' are numbers"),
    ],
)
def test_what_is_no_classification_of_texts_is_refused(
    shell: Shell, folder: Path, small: str, rows: list[str], message: str
) -> None:
    """Numbers to predict, a label a row, several labels a cell, and numbers as texts are one error before training."""
    (folder / "wrong.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    code, out, err = shell(f"train wrong.csv {TO} {small}")
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_fractions_are_a_regression_of_texts(shell: Shell, folder: Path, small: str) -> None:
    """Labels that are numbers with fractions are predicted as such, which is said, beside their mean as a baseline."""
    stars = {"good": 4.25, "dull": 1.5}
    rows = [f"a {word} film {'x' * (n % 3)},{star + n % 7 / 10:.2f}" for n in range(40) for word, star in stars.items()]
    (folder / "stars.csv").write_text("\n".join(["text,stars", *rows]), encoding="utf-8")
    code, out, _ = shell(
        f"train stars.csv {TO} {small.replace('--parts network', '')} --epochs 40 --dropout 0 --label stars"
    )
    assert code == 0
    assert "task: regression, as the labels are numbers" in out
    table = {row[0]: row[1:] for line in out.splitlines() if len(row := re.split(r"\s{2,}", line.strip())) == 5}
    assert list(table) == ["mean", "average", "compounding", "GRU"]
    assert float(table["GRU"][0]) > 0.5 > float(table["mean"][0])
    model = tidegate.load(folder / "new.safetensors", tidegate.TextModel)
    good, dull = model.predict(["a good film", "a dull film"])
    assert good > dull + 1
    code, _, err = shell(f"train stars.csv {TO} {small} --parts gru,ngrams --label stars")
    assert code == 2
    assert "n-grams, which add to the logits of classes" in err
    code, _, err = shell(f"train stars.csv {TO} {small} --label stars --task classification")
    assert code == 2
    assert "are numbers with a fraction" in err


@pytest.mark.parametrize(
    ("header", "label", "names"),
    [
        ('text,"low, high",stars', "--label 'low, high'", ["low, high"]),
        ("text,length,stars", "--label 'stars , length'", ["stars", "length"]),
        ("text,length,stars", "--label stars --label length --label stars", ["stars", "length"]),
    ],
)
def test_names_of_numbers_may_have_commas(
    shell: Shell, folder: Path, small: str, header: str, label: str, names: list[str]
) -> None:
    """A column whose name has a comma is one; others are named with commas, or one each time; so in evaluate."""
    rows = [f"a {word} film,{n % 5}.5,{n % 3}.25" for n in range(20) for word in ("good", "dull")]
    (folder / "range.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    command = f"train range.csv {TO} {small} --no-baselines --epochs 1 {label} --task regression --overwrite"
    code, _, err = shell(command)
    assert code == 0, err
    assert list(tidegate.load(folder / "new.safetensors", tidegate.TextModel).labels) == names
    for given in (label, ""):
        code, _, err = shell(f"evaluate new.safetensors range.csv --json {given}")
        assert code == 0, err
    assert shell(f"train range.csv {TO} {small} --label ' , ' --task regression")[2].startswith("error: --label is")


def test_two_columns_of_labels_are_refused(shell: Shell) -> None:
    """No label that was given is left out in silence."""
    for command in (f"train train.csv {TO}", "evaluate model.safetensors test.csv"):
        code, out, err = shell(f"{command} --label label --label text")
        assert (code, out) == (2, "")
        assert "there is no column 'label,text'" in err
        assert "--task regression" in err
        assert "nothing'; the columns are" in shell(f"{command} --label label --label nothing")[2]


def test_numbers_are_words_if_their_column_is_named(shell: Shell, folder: Path, small: str) -> None:
    """Who names the column of texts means it, as for the numbers of things that were bought."""
    rows = [f"{4000 + n % 7} {4010 + n % 2},{'ab'[n % 2]}" for n in range(60)]
    (folder / "bought.csv").write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    assert shell(f"train bought.csv {TO} {small} --no-baselines --epochs 1 --text text")[0] == 0


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


def test_a_boolean_label_has_one_name(shell: Shell, folder: Path, small: str) -> None:
    """What pandas, JSON and Excel write for true and false are the same classes."""
    words = ["good", "bad"] * 30
    for name, spelt in (("t.csv", ("True", "False")), ("t.jsonl", (True, False)), ("upper.csv", ("TRUE", "FALSE"))):
        tables.write(folder / name, {"text": words, "label": [spelt[word == "bad"] for word in words]})
    for trained in ("t.csv", "t.jsonl"):
        assert shell(f"train {trained} {TO} {small} --no-baselines --epochs 1")[0] == 0
        assert tidegate.load(folder / "new.safetensors").labels == ("false", "true")
        for judged in ("t.csv", "t.jsonl", "upper.csv"):
            assert shell(f"evaluate new.safetensors {judged}")[0] == 0


def test_settings_are_tried_first(shell: Shell, folder: Path, small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tune`, and `train --autotune-minutes`, try settings for so long, say them, keep them, and train the best."""
    ticks = itertools.count()
    monkeypatch.setattr("tidegate.training.tuning.perf_counter", lambda: float(next(ticks)))
    code, out, _ = shell(f"tune train.csv -o tuned.safetensors --minutes 2 --no-baselines {small}")
    assert code == 0
    assert re.search(
        r"^trial 0, 1 epoch: macro F1 [\d.]+ in [\d.]+ s, \d+:\d\d left: the settings as they", out, re.MULTILINE
    ), out
    assert "trying settings: the higher the macro F1 of what is held out, the better" in out
    assert re.search(r"^the best of \d+ trials: ", out, re.MULTILINE), out
    trials = (folder / "tuned.safetensors.trials.jsonl").read_text().splitlines()
    code, out, err = shell(f"train train.csv -o tuned.safetensors --autotune-minutes 0.01 --no-baselines {small}")
    assert code == 0
    assert f"going on from {len(trials) - 1} trials in tuned.safetensors.trials.jsonl" in " ".join(err.split())


def test_a_search_that_is_stopped_says_how_it_goes_on(
    shell: Shell, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C during the trials ends the command with 130, and names the table of those that are done."""

    def stopped(*_: object) -> Iterator[None]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("tidegate.training.tuning.Tuning.search", stopped)
    code, _, err = shell(f"tune train.csv -o stopped.safetensors --no-baselines {small}")
    said = "stopped after 0 trials, before training; the same command goes on from those in"
    assert (code, said in " ".join(err.split())) == (130, True)
