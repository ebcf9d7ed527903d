"""Tables of Markdown, as files and through pipes."""

import io
from pathlib import Path

import pytest

from tidegate.data.tables.rows import blocks

ROWS = {"text": ["a fine film", "dull | slow", "it's, so so"], "label": ["pos", "neg", ""]}
BODY = "| a fine film | pos |\n| dull \\| slow | neg |\n| it's, so so | |\n"
TABLES = {
    "bars outside": f"| text | label |\n|---|---|\n{BODY}",
    "aligned": f"| text        | label |\n| :---------- | ----: |\n{BODY}",
    "no bars outside": "text | label\n--- | ---\na fine film | pos\ndull \\| slow | neg\nit's, so so | |\n",
    "blank lines before": f"\n\n| text | label |\n|---|---|\n{BODY}",
    "Windows": f"| text | label |\n|---|---|\n{BODY}".replace("\n", "\r\n"),
    "mark at the start": f"\ufeff| text | label |\n|---|---|\n{BODY}",
    "indented": f"  | text | label |\n  |:-:|:-:|\n{BODY}",
    "no end of line": f"| text | label |\n|---|---|\n{BODY}".rstrip("\n"),
}


@pytest.mark.filterwarnings("ignore:.*is read as CSV")
@pytest.mark.parametrize("name", ["t.md", "t.csv", "t.txt", "t"])
@pytest.mark.parametrize("kind", TABLES)
def test_tables_of_markdown_are_read(tmp_path: Path, kind: str, name: str) -> None:
    """Names, rows and bars in a cell are what Markdown shows; the line of dashes is no row."""
    (tmp_path / name).write_bytes(TABLES[kind].encode())
    assert list(blocks(tmp_path / name, None, None)) == [ROWS]
    assert list(blocks(io.BytesIO(TABLES[kind].encode()), None, None)) == [ROWS]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("| text | label |\n|---|---|\n| a | b | c |\n", "line 3 has 3 fields, expected 2"),
        ("| text | text |\n|---|---|\n| a | b |\n", "two columns have the name 'text'"),
    ],
)
def test_broken_tables_of_markdown(tmp_path: Path, content: str, message: str) -> None:
    """A row with other cells than names is an error with its line."""
    (tmp_path / "t.md").write_text(content)
    with pytest.raises(ValueError, match=message):
        list(blocks(tmp_path / "t.md", None, None))


def test_bars_alone_make_no_table_of_markdown(tmp_path: Path) -> None:
    """Without a line of dashes as wide as the names, bars are separators or letters."""
    (tmp_path / "t.csv").write_text("text|label\na -|b\n-|-\n")
    assert list(blocks(tmp_path / "t.csv", None, None)) == [{"text": ["a -", "-"], "label": ["b", "-"]}]
    (tmp_path / "t.txt").write_text("ls | wc\n---\nend\n")
    assert list(blocks(tmp_path / "t.txt", None, None)) == [{"text": ["ls | wc", "---", "end"]}]
