"""`tidegate data`: where the reviews are."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tidegate.data import datasets, opinions, tables

Shell = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("command", "function"), [("movie-snippets", "movie_snippets"), ("opinions", "opinions"), ("imdb", "imdb")]
)
def test_the_paths_are_printed(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, function: str
) -> None:
    """Standard output has the two files, a line each, for the folder that was asked for."""

    def prepare(folder: Path, *arguments: object) -> datasets.Split:
        progress = arguments[-1]
        assert callable(progress)
        progress(1, None)
        progress(10, 10)
        split = datasets.Split(folder / "train.parquet", folder / "test.parquet")
        for path, sources in zip(split, (["movies", "movies"], ["posts"]), strict=True):
            tables.write(path, {"text": sources, "source": sources})
        return split

    monkeypatch.setattr(datasets if command == "imdb" else opinions, function, prepare)
    code, out, err = shell(f"data {command} --folder {tmp_path}")
    assert (code, out) == (0, f"{tmp_path}/train.parquet\n{tmp_path}/test.parquet\n")
    assert ("movies: 2 texts to train on, 0 to test\n" in err) == (command == "opinions")


def test_a_network_that_fails_is_no_mistake_of_the_user(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download that cannot be had ends with exit code 1 and one line."""

    def prepare(*_: object) -> datasets.Split:
        raise ConnectionError("the server at example.org cannot be reached")

    monkeypatch.setattr(datasets, "imdb", prepare)
    assert shell("data imdb") == (1, "", "error: the server at example.org cannot be reached\n")


def test_ready_files_are_found(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Files that are there already are neither fetched nor changed."""
    for name in ("train", "test"):
        path = tmp_path / "imdb" / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"as they are")
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path))
    assert shell("data imdb")[:2] == (0, f"{tmp_path}/imdb/train.parquet\n{tmp_path}/imdb/test.parquet\n")
    assert (tmp_path / "imdb" / "train.parquet").read_bytes() == b"as they are"
