"""A model as a file of C compiles without a warning, and computes what the model does, with the same bits anywhere."""

import itertools
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.convert.c import code as c_code
from tidegate.convert.certificate import ConversionError
from tidegate.convert.samples import results_of
from tidegate.convert.to_c import to_c

Make = Callable[..., Any]
TOLERANCE = 1e-5
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wshadow", "-Wconversion"]

COMPILERS = [path for path in map(shutil.which, ("gcc", "clang", "clang-15")) if path]
pytestmark = pytest.mark.skipif(not COMPILERS, reason="there is no C compiler")


def compiled(source: Path, *options: str, compiler: str = "") -> Path:
    """Compiles a file with all warnings as errors."""
    program = source.with_suffix(f".{len(list(source.parent.iterdir()))}")
    command = [compiler or COMPILERS[0], *STRICT, *options, str(source), "-o", str(program), "-lm"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return program


def output(program: Path, text: str = "") -> str:
    return subprocess.run([program], input=text, check=True, capture_output=True, text=True).stdout


def lines(steps: Any) -> str:
    return "".join(" ".join(map(repr, np.atleast_1d(step).tolist())) + "\n" for step in steps) + "\n"


CELLS: dict[str, dict[str, Any]] = {
    "gru": {"num_layers": 2},
    "gru reset=before gate=hard_sigmoid": {"summary": "mean"},
    "gru reset=off update=off candidate=identity": {"summary": "mean"},
    "gru candidate=relu": {"summary": "max", "bias": False},
    "lstm": {"summary": "mean+max", "num_layers": 2},
    "rnn_tanh": {"summary": "mean", "bias": False, "task": "regression"},
    "rnn_relu": {"task": "encoding", "labels": ()},
    "average": {"task": "multi-label"},
    "compound": {},
}


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_and_summary(vectors_model: Make, tmp_path: Path, cell: str) -> None:
    """A file compiles without a warning, and prints what the model computes for sequences of several lengths."""
    model = vectors_model(cell, **CELLS[cell])
    written = to_c(model, tmp_path / "model.c")
    assert written.compiled is not None
    assert written.compiled.certificate.error <= TOLERANCE
    assert f"A state has {written.compiled.state_bytes} bytes" in (tmp_path / "model.c").read_text()
    rng = np.random.default_rng(5)
    sequences = [rng.standard_normal((length, 3)).astype(np.float32) for length in (4, 0, 11)]
    printed = output(compiled(tmp_path / "model.c", "-Dmodel_MAIN"), "".join(map(lines, sequences)))
    found = np.array([line.split() for line in printed.splitlines()], np.float64)
    expected = np.concatenate(list(results_of(model, sequences).values()), axis=1)
    np.testing.assert_allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("cell", ["gru reset=before", "lstm"])
def test_int8_weights_are_what_the_compressed_model_has(
    numbers_model: Make, tmp_path: Path, cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with int8 weights is smaller, and computes with the very numbers that the weights stand for."""
    model = numbers_model(cell, hidden_size=24, summary="mean+max")
    large, small = to_c(model, tmp_path / "large.c"), to_c(model, tmp_path / "small.c", weights="int8")
    assert small.compiled is not None
    assert small.compiled.certificate.error <= TOLERANCE  # against the compressed model
    assert small.weight_bytes < large.weight_bytes / 2
    monkeypatch.setenv("CC", "none")
    of_file = to_c(model.compress("int8"), tmp_path / "small.c")
    assert of_file.weight_bytes == small.weight_bytes
    assert "int8_t" in (tmp_path / "small.c").read_text()
    to_c(model.compress("int8"), tmp_path / "small.c", weights="float32")
    assert "int8_t" not in (tmp_path / "small.c").read_text()
    compiled(tmp_path / "small.c", "-Dsmall_MAIN")


def test_numbers_with_gaps(numbers_model: Make, tmp_path: Path) -> None:
    """Numbers are scaled, cut off, and their gaps filled as in the model."""
    model = numbers_model("gru", summary="max")
    to_c(model, tmp_path / "m.c")
    x = 5 * np.random.default_rng(5).standard_normal((30, 4)).astype(np.float32)
    x[[0, 1, 2, 20], [1, 1, 3, 3]] = np.nan
    x[5, 0] = 1e9
    printed = output(compiled(tmp_path / "m.c", "-Dm_MAIN"), lines(x))
    found = np.array(printed.split(), np.float64)
    np.testing.assert_allclose(found[-2:], model.predict_proba([x])[0], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_texts_by_their_ids(texts_model: Make, tmp_path: Path, weights: str) -> None:
    """A file reads word ids, no more than the model reads of a text."""
    model = texts_model("gru", max_length=6, summary="mean")
    written = to_c(model, tmp_path / "m.c", weights=weights)
    assert written.compiled is not None
    texts = ["a good film", "", "it was very long , and boring ; the best film ! a bad film ."]
    printed = output(compiled(tmp_path / "m.c", "-Dm_MAIN"), "".join(map(lines, model.tokenizer.encode_batch(texts))))
    found = np.array([line.split() for line in printed.splitlines()], np.float64)
    tolerance = TOLERANCE if weights == "float32" else 0.02
    np.testing.assert_allclose(found[:, -2:], model.predict_proba(texts), rtol=0, atol=tolerance)


def test_the_program_answers_at_the_end(numbers_model: Make, tmp_path: Path) -> None:
    """The last sequence needs no empty line behind it."""
    to_c(numbers_model("gru"), tmp_path / "m.c")
    program = compiled(tmp_path / "m.c", "-Dm_MAIN")
    assert output(program, "1 2 3 4\n\n5 6 7 8\n") == output(program, "1 2 3 4\n\n5 6 7 8\n\n")


@pytest.mark.parametrize("line", ["1 2 3", "1 2 3 4 5", "1 2 3 x", "a b c d", "1,2,3,4"])
def test_what_is_no_step_ends_the_program(numbers_model: Make, tmp_path: Path, line: str) -> None:
    """A line with fewer numbers, more, or something else is named, and answered by nothing."""
    to_c(numbers_model("gru"), tmp_path / "m.c")
    program = compiled(tmp_path / "m.c", "-Dm_MAIN")
    done = subprocess.run([program], input=f"1 2 3 4\n{line}\n", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "line 2 is not 4 numbers\n")


def test_the_bits_do_not_depend_on_the_compiler(numbers_model: Make, tmp_path: Path) -> None:
    """Every compiler gives the same bits, optimised for this processor or not at all."""
    to_c(numbers_model("gru", hidden_size=19, summary="mean+max", num_layers=2), tmp_path / "m.c")
    x = np.random.default_rng(5).standard_normal((50, 4)).astype(np.float32)
    options = [("-O0",), ("-O3", "-march=native")]
    programs = [
        compiled(tmp_path / "m.c", "-Dm_MAIN", *chosen, compiler=compiler)
        for compiler, chosen in itertools.product(COMPILERS, options)
    ]
    assert len({output(program, lines(x)) for program in programs}) == 1


CHECK_FUNCTIONS = """
#include <stdint.h>
#include <stddef.h>
#include <stdio.h>
#include <math.h>
%s
int main(void)
{
    double exp_error = 0, sigmoid_error = 0, tanh_error = 0, log_error = 0, small = 0;
    for (double a = -100; a <= 100; a += 1.0 / 4096 / 3) {
        const float f = (float)a;
        if (f <= 0)
            exp_error = fmax(exp_error, fabs((double)NAME_exp(f) - exp((double)f)));
        sigmoid_error = fmax(sigmoid_error, fabs((double)NAME_sigmoid(f) - 1 / (1 + exp(-(double)f))));
        tanh_error = fmax(tanh_error, fabs((double)NAME_tanh(f) - tanh((double)f)));
        if (f != 0 && fabs((double)f) < 1)
            small = fmax(small, fabs((double)NAME_tanh(f) / tanh((double)f) - 1));
    }
    for (float a = 1; a < 1.7e7f; a = a < 4096 ? a + 1 : a * 1.0001f)
        log_error = fmax(log_error, fabs((double)NAME_log(a) - log((double)a)));
    printf("%%g %%g %%g %%g %%g %%d\\n", exp_error, sigmoid_error, tanh_error, log_error, small, isnan(NAME_tanh(NAN)));
    return 0;
}
"""


def test_the_functions_are_as_exact_as_they_say(tmp_path: Path) -> None:
    """exp, the sigmoid, tanh and ln have at most the errors that their comments state; NaN stays NaN."""
    source = tmp_path / "functions.c"
    code = c_code.FUNCTIONS + c_code.SIGMOID + c_code.TANH + c_code.LOG
    source.write_text(CHECK_FUNCTIONS % code)
    exp, sigmoid, tanh, log, small, nan = map(float, output(compiled(source, "-O2")).split())
    stated = [float(number) for number in re.findall(r"absolute error below (\d+e-\d+)", code)]
    assert stated == [1e-7, 2e-7, 2e-7, 2e-6]
    assert [found <= limit for found, limit in zip((exp, sigmoid, tanh, log), stated, strict=True)] == [True] * 4
    assert small < 1e-6
    assert nan == 1


USER = """
#define my_model_DECLARATIONS
#include "my-model.c"
#include <math.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    static my_model_state state, copy;
    float numbers[my_model_INPUTS] = {1, 2, 3, 4}, wrong[my_model_INPUTS] = {NAN, 2, 3, 4}, first[my_model_OUTPUTS];
    float again[my_model_OUTPUTS];
    my_model_start(&state);
    my_model_step(&state, numbers);
    copy = state;
    if (my_model_step(&state, wrong) != 1 || memcmp(&state, &copy, sizeof state))
        return 1;
    wrong[0] = INFINITY;
    if (my_model_step(&state, wrong) != 1 || memcmp(&state, &copy, sizeof state))
        return 2;
    my_model_step(&state, numbers);
    my_model_scores(&state, first);
    my_model_step(&copy, numbers);
    my_model_scores(&copy, again);
    if (memcmp(first, again, sizeof first))
        return 3;
    my_model_start(&state);
    my_model_start(&copy);
    if (memcmp(&state, &copy, sizeof state))
        return 4;
    printf("%s", my_model_labels[1]);
    return 0;
}
"""


def test_a_program_of_its_own_uses_the_file(numbers_model: Make, tmp_path: Path) -> None:
    """Another file includes the declarations; a refused step changes nothing; a state is copied by assignment."""
    label = 'NAME "x"\\ ??/ \u00e4\n*/ 7'
    to_c(numbers_model("lstm", labels=("rest", label), summary="mean"), tmp_path / "my-model.c")
    (tmp_path / "user.c").write_text(USER)
    command = [COMPILERS[0], *STRICT, "user.c", "my-model.c", "-o", "user"]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert output(tmp_path / "user") == label


def test_a_file_needs_nothing(vectors_model: Make, tmp_path: Path) -> None:
    """The object needs no library and has no variables; its names begin with that of the model."""
    to_c(vectors_model("gru"), tmp_path / "m.c")
    subprocess.run([COMPILERS[0], "-std=c99", "-Os", "-c", "m.c", "-o", "m.o"], cwd=tmp_path, check=True)
    nm = shutil.which("nm")
    if nm is None:
        pytest.skip("nm is not here")
    listing = subprocess.run([nm, "m.o"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    symbols = {line.split()[-1]: line.split()[-2] for line in listing.splitlines()}
    assert {name for name, kind in symbols.items() if kind == "U"} <= {"memset", "memcpy"}  # which compilers put in
    assert not {kind for kind in symbols.values() if kind in "bBdDC"} - {"d", "D"}
    exported = {name for name, kind in symbols.items() if kind.isupper() and kind != "U"}
    assert exported == {f"m_{name}" for name in ("start", "step", "vector", "scores", "probabilities", "labels")}


def test_a_file_that_differs_is_not_written(
    vectors_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the program gives something else, that is an error, and there is no file."""
    monkeypatch.setitem(c_code.ACTIVATIONS, "tanh", c_code.TANH.replace("-2.0f", "-2.01f"))
    with pytest.raises(ConversionError, match=r"differs by .* from gcc|differs by .* from cc"):
        to_c(vectors_model("gru"), tmp_path / "m.c")
    assert list(tmp_path.iterdir()) == []


def test_without_a_compiler_nothing_is_compared(
    vectors_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """$CC chooses the compiler; where there is none the file is written, and what is returned says so."""
    monkeypatch.setenv("CC", f"{COMPILERS[0]} -O1")
    written = to_c(vectors_model("gru"), tmp_path / "m.c")
    assert written.compiled is not None
    assert written.compiled.certificate.against == f"{Path(COMPILERS[0]).name} -O1 -std=c99 -O3"
    monkeypatch.setenv("CC", "no-such-compiler")
    assert to_c(vectors_model("gru"), tmp_path / "m.c").compiled is None
    compiled(tmp_path / "m.c", "-Dm_MAIN")


@pytest.mark.parametrize(
    ("choices", "options", "message"),
    [
        ({"cell": "gru", "bidirectional": True}, {}, "both directions"),
        ({"cell": "gru", "ngrams": 5, "ngram_order": 2}, {}, "n-grams, which read a text as a whole"),
        ({"cell": "gru"}, {"name": "1st"}, "name is '1st', expected a letter"),
        ({"cell": "gru"}, {"name": "a b"}, "name is 'a b', expected a letter"),
        ({"cell": "gru"}, {"weights": "int4"}, "weights is 'int4', expected"),
    ],
)
def test_what_cannot_be_exported_is_one_error(
    texts_model: Make, tmp_path: Path, choices: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    """Both directions, n-grams, names that are no words, and unknown weights are refused."""
    with pytest.raises(ValueError, match=message):
        to_c(texts_model(**choices), tmp_path / "m.c", **options)
    assert list(tmp_path.iterdir()) == []


def test_the_name_is_made_of_the_file_s(texts_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What C has no letters for becomes an underscore, and a name begins with a letter."""
    monkeypatch.setenv("CC", "none")
    model = texts_model("average")
    for file, name in (("my model-2.c", "my_model_2"), ("2nd.c", "model_2nd"), ("\u00e4.c", "model__")):
        assert to_c(model, tmp_path / file).name == name


def test_a_compiler_that_does_not_end_is_one_error(
    vectors_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiler that hangs is ended, and nothing is written."""
    compiler = tmp_path / "slow"
    compiler.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setattr("tidegate.convert.to_c._LONGEST", 0.1)
    with pytest.raises(ValueError, match=r"slow fails: it did not end in 0.1 s"):
        to_c(vectors_model("gru"), tmp_path / "model.c")
    assert not (tmp_path / "model.c").exists()


def test_a_full_folder_for_temporary_files_is_named(
    numbers_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the compiler's copy does not fit, the error names it, and nothing is written."""

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        to_c(numbers_model("gru"), tmp_path / "m.c")
    assert str(caught.value.filename).endswith("model.c")
    assert not list(tmp_path.iterdir())
