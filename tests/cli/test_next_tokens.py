"""Texts as a next-step task, from a plain file to a continuation."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate
from tidegate.cli.reading.texts import running_texts
from tidegate.models.text_model import TextModel

Shell = Callable[..., tuple[int, str, str]]
QUICK = "--hidden-size 16 --embedding-size 8 --epochs 3 --batch-size 4 --bptt 20 --learning-rate 0.03"


@pytest.fixture(scope="module")
def letters(folder: Path) -> Path:
    """A plain text of two lines again and again, and models of its characters and of the words of train.csv."""
    from tidegate.cli import main

    (folder / "letters.txt").write_text("abcd efgh\nabab cdcd\n" * 60, encoding="utf-8")
    (folder / "numbers.csv").write_text("text\n" + "0.5\n1.5\n" * 9, encoding="utf-8")
    (folder / "other.txt").write_text("abcd efgh\nabab", encoding="utf-8")
    arguments = f"train {folder}/letters.txt --task next --tokens characters -o {folder}/letters.safetensors {QUICK}"
    assert main(arguments.split()) == 0
    arguments = f"train {folder}/train.csv --text text --task next -o {folder}/words.safetensors {QUICK}"
    assert main(arguments.split()) == 0
    return folder


def test_a_network_stands_beside_counted_runs(letters: Path) -> None:
    """The model file has the scores of simple forecasts; the network is better than frequencies."""
    for name, runs in (("letters", "6-grams"), ("words", "3-grams")):
        model = tidegate.load(letters / f"{name}.safetensors", tidegate.TextModel)
        beside = model.metrics["baselines"]
        assert list(beside) == ["all alike", "frequency", runs]
        assert model.metrics["nats"] < beside["frequency"]["nats"] < beside["all alike"]["nats"]


def test_a_plain_file_is_one_text(shell: Shell, letters: Path) -> None:
    """`evaluate` reads the whole file as one text, line breaks and all, and with --from lines each line by itself."""
    model = tidegate.load(letters / "letters.safetensors", tidegate.TextModel)
    for more, texts in (("", ["abcd efgh\nabab"]), ("--from lines", ["abcd efgh", "abab"])):
        code, out, err = shell(f"evaluate letters.safetensors other.txt {more} --json")
        assert (code, err) == (0, "")
        found = np.concatenate(model.log_likelihoods(texts))
        assert json.loads(out)["nats"] == pytest.approx(-found.mean(), rel=1e-5)
        assert json.loads(out)["characters"] == sum(len(text) + 1 for text in texts)


def test_texts_are_judged_by_their_column(shell: Shell, letters: Path) -> None:
    """--by scores the texts of each value of a column apart; what is about classes is refused."""
    code, out, _ = shell("evaluate words.safetensors test.csv --by label --text text")
    assert code == 0
    assert all(word in out for word in ("nats a token", "perplexity", "bits a character", "neg", "pos"))
    code, _, err = shell("evaluate words.safetensors test.csv --threshold 0.3")
    assert (code, "the model predicts words" in err) == (2, True)


def test_predict_says_how_probable_texts_are(shell: Shell, letters: Path) -> None:
    """A row for each text: log-likelihood, tokens and perplexity, beside the columns that were there."""
    code, out, _ = shell("predict letters.safetensors - --from lines", stdin="abcd\nxx\n")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    model = tidegate.load(letters / "letters.safetensors", tidegate.TextModel)
    expected = model.log_likelihoods(["abcd", "xx"])
    for row, found in zip(rows, expected, strict=True):
        assert float(row["log_likelihood"]) == pytest.approx(found.sum(), abs=1e-3)
        assert int(row["tokens"]) == len(found)
        assert float(row["perplexity"]) == pytest.approx(np.exp(-found.mean()), rel=1e-4)


def test_predict_goes_on_from_a_beginning(shell: Shell, letters: Path) -> None:
    """--steps continues each text, by what is most probable or drawn with a seed."""
    model = tidegate.load(letters / "letters.safetensors", tidegate.TextModel)
    for more, options in (("", {}), ("--temperature 0.7 --seed 5", {"temperature": 0.7, "seed": 5})):
        code, out, _ = shell(f"predict letters.safetensors - --from lines --steps 6 --to jsonl {more}", stdin="abcd\n")
        assert code == 0
        expected = model.forecast(["abcd"], 6, **options)  # type: ignore[arg-type]
        assert json.loads(out)["continuation"] == expected[0]
    lines, how = "abcd\n" * 5, "predict letters.safetensors - --from lines --steps 9 --temperature 2 --to jsonl"
    found = [json.loads(line)["continuation"] for line in shell(how, stdin=lines)[1].splitlines()]
    assert found == model.forecast(["abcd"] * 5, 9, temperature=2.0)
    assert len(set(found)) > 1
    _, _, err = shell("predict letters.safetensors - --from lines", stdin="xyz\n")
    assert "the model knows no character of the input; its characters are such as" in err
    code, _, err = shell("predict letters.safetensors - --temperature 1", stdin="a\n")
    assert (code, "say how many with --steps" in err) == (2, True)


def test_an_empty_continuation_has_its_cause_said(shell: Shell, letters: Path) -> None:
    """A text that ends for the model is counted, whichever part it was in; others are not spoken of."""
    model = tidegate.load(letters / "letters.safetensors", tidegate.TextModel)
    arrays = dict(model.arrays)
    arrays["head.bias"] = arrays["head.bias"].copy()
    arrays["head.bias"][0] += 100  # of the mark that ends a text
    tidegate.TextModel(model.config, model.tokenizer, arrays).save(letters / "ends.safetensors")
    how = "predict ends.safetensors - --from lines --steps 5 --to jsonl"
    code, out, err = shell(how, stdin="ab\ncd\n")
    assert (code, [json.loads(line)["continuation"] for line in out.splitlines()]) == (0, ["", ""])
    said = "note: 2 of 2 continuations are empty, as the model foresees the end of the text there; "
    assert err == f"{said}--temperature 1 draws less probable words\n"
    assert "another --seed draws anew" in shell(f"{how} --temperature 1", stdin="ab\n")[2]
    assert shell("predict letters.safetensors - --from lines --steps 3", stdin="abc\n")[2] == ""


def test_info_calls_the_task_what_train_does(shell: Shell, letters: Path) -> None:
    """Words or characters are named with the options that ask for them, and the vocabulary once."""
    out = shell("info letters.safetensors")[1]
    assert "next characters (--task next --tokens characters)" in out
    assert "[PAD]" not in out
    assert "next words (--task next)" in shell("info words.safetensors")[1]
    assert "next-token" not in out


def test_each_word_has_its_probability(shell: Shell, letters: Path) -> None:
    """--words prints a line for each token and for the end, and what they come to."""
    code, out, _ = shell("predict letters.safetensors --words 'ab c'")
    model = tidegate.load(letters / "letters.safetensors", tidegate.TextModel)
    [found] = model.log_likelihoods(["ab c"])
    _, *lines, last = out.splitlines()
    assert code == 0
    assert [float(line.split()[-2 if "█" in line else -1]) for line in lines] == pytest.approx(
        np.exp(found).tolist(), abs=6e-4
    )
    assert "(end)" in lines[-1]
    assert f"{found.sum():.2f} nats" in last


def test_lines_are_foreseen_as_they_come(shell: Shell, letters: Path) -> None:
    """`stream` says what most probably follows, without a column for every word that might."""
    code, out, _ = shell("stream letters.safetensors --to jsonl", stdin='{"text": "abc"}\n')
    assert code == 0
    model = tidegate.load(letters / "letters.safetensors", tidegate.TextModel)
    assert json.loads(out)["prediction"] == model.predict(["abc"])[0]


def test_units_are_moved_by_characters(shell: Shell, letters: Path) -> None:
    """`units` calls what it has counted what it is, and writes characters so that blanks can be told."""
    code, out, _ = shell("units letters.safetensors letters.txt")
    assert code == 0
    assert "characters often enough" in out
    assert "'a' 0." in out
    assert "these are 15 characters" in shell("units letters.safetensors other.txt")[2]


def test_what_is_said_of_plain_files(letters: Path) -> None:
    """A file is one text, and so is each of several files."""
    one, two = (running_texts(f"{letters}/{name}", None, None) for name in ("other.txt", "[lo]*e*r*.txt"))
    assert (len(one.texts), one.said.split(" (")[0]) == (1, "all in one")
    assert (len(two.texts), two.said.split(" (")[0]) == (2, "each file is one")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("evaluate letters.safetensors other.txt --by label", "plain texts have no columns"),
        ("predict model.safetensors test.csv --temperature 1", "--temperature is about the words of a text"),
        ("train train.csv --task next --label label", "so there is no --label"),
        ("train numbers.csv --task next", "takes each row for a step of a sequence"),
        ("train train.csv --task next --horizon 3", "one word is foreseen after each"),
        ("train train.csv --task next --parts ngrams", "--parts is about classifiers"),
        ("train train.csv --task next --max-length 9", "reads to their ends"),
        ("train train.csv --text text --task next --cell average", "needs a recurrent cell"),
        ("train train.csv --task next --no-residual", "but these are texts"),
        ("train train.csv --tokens characters", "which is --task next"),
        ("train train.csv --bptt 9", "which is --task next"),
        ("predict letters.safetensors test.csv --top-k 3", "the model is one for next words"),
        ("explain letters.safetensors abc", "expected one whose answers are explained"),
    ],
)
def test_what_cannot_be_meant_is_an_error(shell: Shell, letters: Path, command: str, message: str) -> None:
    """Labels, n-grams, poolings and what is about classes are refused in words."""
    code, _, err = shell(command)
    assert code == 2
    assert message in " ".join(err.split())


def test_a_model_that_foresees_worse_is_not_written(
    shell: Shell, letters: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`compress` counts a rise of nats as a loss, and a fall as none."""
    for factor, code, said in ((1.5, 2, "the nats a token on other.txt rises by"), (0.5, 0, "nats a token")):
        usual = TextModel.log_likelihoods

        def scaled(self: TextModel, texts: list[str], factor: float = factor, usual: Any = usual) -> Any:
            return [row * (factor if self.small else 1) for row in usual(self, texts)]

        with monkeypatch.context() as patched:
            patched.setattr(TextModel, "log_likelihoods", scaled)
            found, out, err = shell(
                "compress letters.safetensors -o letters8.safetensors --check other.txt --overwrite"
            )
        assert (found, said in out + err) == (code, True)


def test_a_classifier_starts_from_what_foresees_words(shell: Shell, letters: Path) -> None:
    """--pretrain says how well words are foreseen, with --more-texts on more of them; n-grams join as ever."""
    (letters / "more.txt").write_text("the film is good\n", encoding="utf-8")
    how = "--embedding-size 8 --hidden-size 8 --batch-size 64 --epochs 1 --no-baselines --overwrite"
    code, out, err = shell(f"train test.csv -o before.safetensors --more-texts more.txt {how} --parts network,ngrams")
    assert code == 0, err
    assert "pretraining: " in out
    before = tidegate.load(letters / "before.safetensors").metrics["pretraining"]
    assert before["perplexity"] == pytest.approx(np.exp(before["nats"]))
    code, _, err = shell(f"train test.csv --pretrain --cell average {how} --parts network")
    assert (code, "needs a recurrent cell" in err) == (2, True)
