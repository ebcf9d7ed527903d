"""`tidegate explain`: an answer's words on a terminal, as lines, JSON, page and picture."""

import json
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tidegate
from tidegate.cli.explain.explained import Explained
from tidegate.inspection.attribution import METHODS
from tidegate.inspection.explain import explain
from tidegate.models.config import TextConfig
from tidegate.models.metrics.quantiles import quantile_labels
from tidegate.text.tokenizer import Tokenizer

Shell = Callable[..., tuple[int, str, str]]
TEXT = "the film is lovely , but a boring film"
COMMAND = f"explain model.safetensors '{TEXT}'"


@pytest.fixture
def model(folder: Path) -> tidegate.TextModel:
    """The model of the folder."""
    return tidegate.load(folder / "model.safetensors", tidegate.TextModel)


def test_json_holds_the_explanation(shell: Shell, model: tidegate.TextModel) -> None:
    """`--json` prints one object with the fields of the sum, which adds up, and nothing else."""
    code, out, err = shell(f"{COMMAND} --json")
    assert (code, err, out.count("\n")) == (0, "", 1)
    record = json.loads(out)
    assert record == explain(model, TEXT).as_dict()
    total = np.array(record["bias"]) + record["initial"] + np.sum(record["contributions"], axis=0)
    np.testing.assert_allclose(total, record["logits"], atol=1e-5)


@pytest.mark.parametrize("method", ["integrated-gradients", "occlusion"])
def test_json_of_another_method_names_it(shell: Shell, model: tidegate.TextModel, method: str) -> None:
    """The contributions are those of the method; what belongs to the ledger's sum alone is left out."""
    record = json.loads(shell(f"{COMMAND} --json --method {method}")[1])
    result: Any = METHODS[method](model, TEXT)
    assert record["method"] == method
    assert record["contributions"] == result.contributions.tolist()
    assert not record.keys() & {"bias", "initial", "kept"}
    assert record.get("baseline") == (result.baseline.tolist() if method == "integrated-gradients" else None)


def test_each_word_has_a_line_without_a_terminal(shell: Shell, model: tidegate.TextModel) -> None:
    """Probability so far, share of the memory, share kept and contribution stand beside each word; then the check."""
    code, out, err = shell(COMMAND)
    assert (code, err) == (0, "")
    title, *lines = out.splitlines()
    explanation = explain(model, TEXT)
    shares = np.abs(explanation.balance).sum(axis=1) / np.abs(explanation.balance).sum()
    assert title.split() == ["word", "after", "memory", "kept", "counts"]
    for t, word in enumerate(explanation.words):
        shown, after, share, kept, counts = lines[t].replace("−", "-").split()
        assert shown == word
        assert float(after) == pytest.approx(explanation.probability_after[t, 1], abs=6e-4)
        assert float(share[:-1]) == pytest.approx(100 * shares[t], abs=0.06)
        assert float(kept[:-1]) == pytest.approx(100 * explanation.kept[t], abs=0.6)
        assert float(counts) == pytest.approx(explanation.towards(1)[t], abs=6e-3)
    assert re.search(r"checked +against the model, off by \d\.?\d*e-\d+ at most", " ".join(out.split()))
    assert re.search(r"update gate +most of the memory let go at \S+ \(\d\) \d+%", out)
    assert re.search(r"reset gate +most of the memory left unread at \S+ \(\d\) \d+%", out)


def test_a_terminal_shows_words_over_bars_and_the_ledger(
    terminal: Callable[..., str], plain: Callable[[str], str]
) -> None:
    """In 80 columns: coloured words over bars, a bar for the end, bars of what is in memory, and the check."""
    coloured = terminal(COMMAND)
    shown = plain(coloured)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.strip() == TEXT for line in lines)
    assert re.search(r"^[ ▁▂▃▄▅▆▇█]+$", lines[[line.strip() for line in lines].index(TEXT) + 1])
    assert re.search(r"^pos at the end  0\.\d{3}  █*░*$", shown, re.MULTILINE)
    assert "in memory at the end" in shown
    assert len(re.findall(r"█+ +\d+\.\d% +\d+% +[+−]\d+\.\d\d$", shown.replace(" \n", "\n"), re.MULTILINE)) >= 3
    assert "checked against the model" in " ".join(shown.split())
    assert "\x1b[38;2;" in coloured


def test_a_long_word_and_many_words_fit_the_terminal(terminal: Callable[..., str], plain: Callable[[str], str]) -> None:
    """Long words are cut in the table, and the words beyond the first ten are one line."""
    shown = plain(terminal(f"explain model.safetensors '{TEXT} {TEXT} 映画 {'long' * 12}'"))
    assert max(map(len, shown.splitlines())) <= 80
    assert "longlonglonglon…" in shown
    assert re.search(r"^ ?\d+ others", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("columns", "heads"),
    [
        (30, "word memory counts"),
        (38, "word memory kept counts"),
        (60, "word place memory kept counts"),
        (120, "word place in memory at the end memory kept counts"),
    ],
)
def test_a_narrow_terminal_leaves_columns_out(
    terminal: Callable[..., str], plain: Callable[[str], str], columns: int, heads: str
) -> None:
    """Words, shares and what they count are whole; bars give way to them first, then places, then what is kept."""
    shown = plain(terminal(COMMAND, COLUMNS=str(columns)))
    assert max(map(len, shown.splitlines())) <= columns
    assert heads in [" ".join(line.split()) for line in shown.splitlines()]
    rows = re.findall(r"^ ?(\w+)( .*)? \d+\.\d%( .*)? [+−]\d+\.\d\d *$", shown, re.MULTILINE)
    assert {"lovely", "boring"} <= {word for word, *_ in rows}
    assert "…" not in shown


def test_unknown_words_are_named(shell: Shell) -> None:
    """Words that the model reads as the unknown one are listed, each once."""
    out = " ".join(shell("explain model.safetensors 'a zyx film zyx qqq'")[1].split())
    assert "unknown words that the model does not know: zyx qqq" in out
    assert "unknown" not in shell("explain model.safetensors 'lovely film'")[1]


def test_characters_that_steer_a_terminal_are_written_out(shell: Shell) -> None:
    """An escape sequence or a turn of direction inside a text is shown and does nothing."""
    for command in ("explain model.safetensors", "predict model.safetensors --words"):
        out = shell(f"{command} 'good \x1b[2J\u202efilm'")[1]
        assert "\\x1b" in out
        assert "\x1b" not in out
        assert "\u202e" not in out


def test_no_color_is_respected(terminal: Callable[..., str]) -> None:
    """With NO_COLOR the same is shown without colours."""
    shown = terminal(COMMAND, NO_COLOR="1")
    assert "pos at the end" in shown
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", shown)


@pytest.mark.parametrize("method", ["integrated-gradients", "occlusion"])
def test_the_ledgers_check_is_shown_by_every_method(shell: Shell, method: str) -> None:
    """Other methods show their own sum, or that they have none, beside the ledger's."""
    out = " ".join(shell(f"{COMMAND} --method {method}")[1].split())
    assert "checked against the model" in out
    own = "the integral is off by" if method == "integrated-gradients" else "need not add up"
    assert own in out


def test_the_other_class_has_the_other_sign(shell: Shell) -> None:
    """Of two classes, what counts for one counts against the other."""
    columns = []
    for label in ("pos", "neg"):
        lines = shell(f"{COMMAND} --class {label}")[1].splitlines()[1:10]
        columns.append([float(line.split()[-1].replace("−", "-")) for line in lines])
    assert columns[0] == [-number for number in columns[1]]


@pytest.mark.parametrize(
    ("options", "stdin"),
    [
        ("--file text.txt", None),
        ("--file review", None),
        ("--file -", "lovely film ,\n\nbut boring\n"),
        ("--file - --from lines --row 2", "bad\nlovely film , but boring\n"),
        ("--file two.csv --row 2", None),
        ("--file two.csv --row 2 --text text --from csv", None),
        ("--file one.jsonl", None),
    ],
)
def test_a_text_may_come_from_a_file(shell: Shell, folder: Path, options: str, stdin: str | None) -> None:
    """A file of text is one text, whatever its lines; a table has one in each row, and --row chooses."""
    (folder / "text.txt").write_text("\ufefflovely film ,\nbut boring\n", encoding="utf-8")
    (folder / "review").write_text("lovely film , but boring", encoding="utf-8")
    (folder / "two.csv").write_text('text,label\nbad,neg\n"lovely film , but boring",pos\n', encoding="utf-8")
    (folder / "one.jsonl").write_text('{"text": "lovely film , but boring"}\n', encoding="utf-8")
    code, out, err = shell(f"explain model.safetensors {options} --json", stdin=stdin)
    assert (code, err) == (0, "")
    assert json.loads(out)["words"] == ["lovely", "film", ",", "but", "boring"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("explain model.safetensors ''", "the text has no word, expected one or more"),
        ("explain model.safetensors good --row 3", "--row, --text and --from say which text of a table is meant"),
        ("explain model.safetensors good --html no/x.html", "there is no folder no to write x.html to"),
        ("explain model.safetensors", 'explain needs either a "TEXT" or --file FILE'),
        ("explain model.safetensors good --file test.csv", 'explain needs either a "TEXT" or --file FILE'),
        ("explain model.safetensors ' '", "the text has no word, expected one or more"),
        ("explain model.safetensors --file empty.txt", "the text has no word, expected one or more"),
        ("explain model.safetensors --file empty.csv", "empty.csv"),
        ("explain model.safetensors --file nothing.txt", "there is no file 'nothing.txt'"),
        ("explain model.safetensors --file latin.txt", "latin.txt: byte 3 is not UTF-8"),
        ("explain model.safetensors --file test.csv", "test.csv has 50 texts: no --row is given, expected 1..50"),
        ("explain model.safetensors --file test.csv --row 51", "test.csv has 50 texts: row is 51, expected 1..50"),
        ("explain model.safetensors --file latin.txt --row 1", "latin.txt is read as one text, without rows"),
        ("explain model.safetensors test.csv", "'test.csv' is a file: to explain the text in it, say --file test.csv"),
        (f"{COMMAND} --class good", "the class is 'good', expected one of those of the model: 'neg', 'pos'"),
        (f"{COMMAND} --html page.txt", "the output is page.txt, expected a file that ends in .html"),
        (f"{COMMAND} --png picture.jpg", "the output is picture.jpg, expected a file that ends in .png"),
        ("explain test.csv good", "test.csv: it starts with b'text,label"),
    ],
)
def test_mistakes_are_one_line(shell: Shell, folder: Path, command: str, message: str) -> None:
    """Mistakes are told in one line on stderr, with exit code 2 and nothing on stdout."""
    for name in ("empty.txt", "empty.csv"):
        (folder / name).write_bytes(b"")
    (folder / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    code, out, err = shell(command)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


class Page(HTMLParser):
    """What a page holds: the tags and attributes, and the words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_the_page_is_one_file_that_asks_for_nothing(shell: Shell, folder: Path) -> None:
    """No tag of the page loads anything, its policy forbids it, and each word is there with its numbers."""
    code, out, err = shell(f"{COMMAND} --html page.html")
    assert (code, out, err) == (0, "", "wrote page.html\n")
    text = (folder / "page.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not [attributes for _, attributes in page.tags if attributes.keys() & {"src", "href", "srcset", "action"}]
    assert not re.search(r"https?:|url\(|@import|//\w", text)
    assert "default-src 'none'" in text
    said = [attributes["data-said"] or "" for _, attributes in page.tags if "data-said" in attributes]
    assert [line.split(" (")[0] for line in said] == TEXT.split()
    assert "prefers-color-scheme: dark" in text
    assert "checked against the model" in text
    assert not re.search(r"\$\w", text)


def test_the_page_shows_words_as_they_are(shell: Shell, folder: Path) -> None:
    """Characters that mean something to HTML are words like others."""
    shell("explain model.safetensors '< script >alert(1)< / script > & \"good\" film' --html page.html --json")
    text = (folder / "page.html").read_text(encoding="utf-8")
    assert text.count("<script>") == 1
    assert ">&lt;</span>" in text
    assert ">&amp;</span>" in text


def test_the_picture_is_a_png(shell: Shell, folder: Path) -> None:
    """`--png` writes a picture, for a short text and for one longer than its axis can name, in any script."""
    pytest.importorskip("matplotlib")
    for text in (TEXT, " ".join([TEXT, "映画"] * 8), "good"):
        code, out, err = shell(f"explain model.safetensors '{text}' --png picture.png")
        assert (code, out, err) == (0, "", "wrote picture.png\n")
        assert (folder / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_missing_matplotlib_says_what_to_install(shell: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error has the pip line, and no file is left."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, out, err = shell(f"{COMMAND} --png never.png")
    assert (code, out, err) == (2, "", "error: a picture needs matplotlib: pip install 'tidegate[plot]'\n")
    assert not (folder / "never.png").exists()


@pytest.mark.parametrize("cell", ["rnn_tanh", "average", "compound"])
def test_models_without_gates_are_explained_honestly(cell: str, shell: Shell, folder: Path) -> None:
    """No gates are named, a note says what the ledger can show, and the sum is checked."""
    tokenizer = Tokenizer.train([TEXT], min_frequency=1)
    sizes: dict[str, Any] = {"vocab_size": len(tokenizer), "embedding_size": 4, "hidden_size": 4}
    config = TextConfig(cell=cell, labels=("a", "b", "c"), **sizes)
    rng, V = np.random.default_rng(0), len(tokenizer)
    shapes = {"embedding.weight": (V, 4), "rnn.weight_ih_l0": (4, 4), "rnn.weight_hh_l0": (4, 4), "rate": (1,)}
    shapes |= {"rnn.bias_ih_l0": (4,), "rnn.bias_hh_l0": (4,), "head.weight": (3, 4), "head.bias": (3,)}
    arrays = {name: rng.standard_normal(shapes[name]).astype(np.float32) for name in config.letters()}
    tidegate.TextModel(config, tokenizer, arrays).save(folder / f"{cell}.safetensors")
    code, out, err = shell(f"explain {cell}.safetensors '{TEXT}' --class b")
    assert (code, err) == (0, "")
    text = " ".join(out.split())
    assert "margin of 'b' over the other classes" in text
    assert "note " in text
    assert "gate most" not in text
    assert "off by" in text
    assert shell(f"explain {cell}.safetensors '{TEXT}' --html page.html")[0] == 0


def test_words_that_are_not_read_are_mentioned(shell: Shell, folder: Path, model: tidegate.TextModel) -> None:
    """A text beyond the model's longest is explained as far as it is read, and a note says so."""
    config = TextConfig(**{**vars(model.config), "max_length": 3})
    tidegate.TextModel(config, model.tokenizer, model.arrays).save(folder / "short.safetensors")
    code, out, err = shell(f"explain short.safetensors '{TEXT}' --json")
    assert (code, json.loads(out)["words"]) == (0, ["the", "film", "is"])
    assert err == "the text has 9 words, of which the model reads the first 3\n"
    assert shell("explain short.safetensors 'the film is' --json")[2] == ""


def test_a_reader_that_has_had_enough_is_no_error(process: Callable[[str], Any]) -> None:
    """When standard output is closed, as `head` does, the command ends quietly."""
    running = process("explain model.safetensors --file -")
    running.stdout.close()
    running.stdin.write("a lovely film " * 300)
    running.stdin.close()
    assert running.stderr.read() == ""
    assert running.wait() == 0
    running.stderr.close()


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_gates_are_ranked_by_what_they_hold_back(cell: str, random_model: Callable[..., tidegate.TextModel]) -> None:
    """The first word of a gate is the one at which it held most back, and each gate of the cell has its line."""
    explanation = explain(random_model(cell), "a good film and a bad film")
    explained = Explained(explanation, explanation, "ledger", 1)
    walk = explanation.traces[0].walk()
    for gate in walk.cell.gates:
        ranked, shares = explained.strongest(gate), walk.held_back(gate)
        t = int(shares.argmax())
        assert ranked[0] == (f"{explanation.words[t]} ({t + 1})", float(shares.max()))
        assert [share for _, share in ranked] == sorted((share for _, share in ranked), reverse=True)
        assert dict(explained.facts)[f"{gate} gate"].startswith("most of the ")


@pytest.mark.parametrize("task", ["regression", "quantiles"])
def test_numbers_of_a_text_have_no_probabilities(
    task: str, shell: Shell, folder: Path, random_model: Callable[..., tidegate.TextModel]
) -> None:
    """Of a regression of texts the number after each word is shown, which ends at the prediction; there is no page."""
    labels = ("stars",) if task == "regression" else quantile_labels(["stars"], [0.1, 0.5, 0.9])
    model = random_model(task=task, labels=labels)
    model.save(folder / "numbers.safetensors")
    predicted = model.predict(["a bad film"]).ravel()
    found = json.loads(shell("explain numbers.safetensors 'a bad film' --json")[1])
    assert found["logits"] == pytest.approx(predicted)
    assert found["after"][-1] == pytest.approx(predicted)
    assert found["probability_after"] is None
    _, out, _ = shell("explain numbers.safetensors 'a bad film'")
    assert f"number '{labels[len(labels) // 2]}' after each word" in out  # of quantiles the median
    assert "probab" not in out
    assert "odds" not in out
    assert "--png draws them" in shell("explain numbers.safetensors 'a bad film' --html numbers.html")[2]
    pytest.importorskip("matplotlib")
    assert shell("explain numbers.safetensors 'a bad film' --png numbers.png")[0] == 0
