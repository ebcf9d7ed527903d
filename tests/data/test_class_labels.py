"""Integers whose names the schema of a Parquet file notes, as the library `datasets` writes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from tidegate.data import series, tables
from tidegate.data.series import Asked
from tidegate.data.tables.arrow.class_labels import class_labels

NEG_POS = {"_type": "ClassLabel", "names": ["neg", "pos"]}


def noted(labels: Any, feature: Any = NEG_POS, kind: Any = None, **columns: Any) -> Any:
    """A table of texts, labels and a note of what the labels are."""
    note = json.dumps({"info": {"features": {"text": {"dtype": "string", "_type": "Value"}, "label": feature}}})
    columns = columns or {"text": [f"a film {n}" for n in range(len(labels))]}
    return pa.table(columns | {"label": pa.array(labels, kind or pa.int64())}).replace_schema_metadata(
        {"huggingface": note}
    )


@pytest.mark.parametrize("kind", [pa.int64(), pa.int8(), pa.uint8()])
@pytest.mark.parametrize("rows", [1, 100])
def test_labels_are_names(tmp_path: Path, kind: Any, rows: int) -> None:
    """Labels are the names of the integers, in every type and however the rows are cut."""
    parquet.write_table(noted([0, 1, 1], kind=kind), tmp_path / "t.parquet", row_group_size=rows)
    assert tables.read(tmp_path / "t.parquet").labels == ["neg", "pos", "pos"]
    with (tmp_path / "t.parquet").open("rb") as pipe:
        assert [part.labels for part in tables.stream(pipe, need_label=True, size=2)] == [["neg", "pos"], ["pos"]]
    assert tables.read(tmp_path).labels == ["neg", "pos", "pos"]


def test_arrow_files_have_names_too(tmp_path: Path) -> None:
    """What `save_to_disk` writes is read like Parquet."""
    table = noted([1, 0])
    with pa.OSFile(str(tmp_path / "data.arrow"), "wb") as file, ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    assert tables.read(tmp_path / "data.arrow").labels == ["pos", "neg"]


def test_minus_one_is_no_label(tmp_path: Path) -> None:
    """The mark of unknown labels, as in the test set of a contest, is no class; without names it is a number."""
    parquet.write_table(noted([0, -1, None, 1]), tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"2 of 4 rows have no label in column 'label', first row 2"):
        tables.read(tmp_path / "t.parquet")
    assert tables.read(tmp_path / "t.parquet", need_label=False).columns["label"] == ["neg", None, None, "pos"]
    parquet.write_table(noted([0, -1]).replace_schema_metadata(None), tmp_path / "t.parquet")
    assert tables.read(tmp_path / "t.parquet").labels == ["0", "-1"]


def test_integers_and_note_reach_the_output(tmp_path: Path) -> None:
    """Parquet that is written again holds the integers and the note; CSV, which has no notes, the names."""
    parquet.write_table(noted([0, -1, 1]), tmp_path / "t.parquet")
    for name, typed in (("out.parquet", True), ("out.csv", False)):
        with tables.writer(tmp_path / name) as append:
            for part in tables.stream(tmp_path / "t.parquet", size=2, typed=typed):
                append(part.columns, part.schema)
    assert parquet.read_table(tmp_path / "out.parquet").equals(noted([0, -1, 1]), check_metadata=True)
    assert (tmp_path / "out.csv").read_text() == "text,label\na film 0,neg\na film 1,\na film 2,pos\n"


@pytest.mark.parametrize(
    "note",
    [
        b"{",
        b"[]",
        b"{}",
        b"\xff",
        b'{"info": null}',
        b'{"info": {"features": []}}',
        b'{"info": {"features": {"label": null, "text": 1}}}',
        b'{"info": {"features": {"label": {"_type": "ClassLabel"}}}}',
        b'{"info": {"features": {"label": {"_type": "ClassLabel", "names": null}}}}',
        b'{"info": {"features": {"label": {"_type": "Value", "names": ["a"]}}}}',
        b'{"info": {"features": {"text": {"_type": "ClassLabel", "names": ["a"]}, "gone": {"_type": "ClassLabel"}}}}',
        b"[" * 100_000,
    ],
)
def test_other_notes_are_nothing(note: bytes) -> None:
    """A note that names no classes of integers changes nothing."""
    assert class_labels(noted([0, 1]).replace_schema_metadata({"huggingface": note}).schema) == {}


def test_an_integer_without_a_name_stays(tmp_path: Path) -> None:
    """It is a class called by its number."""
    parquet.write_table(noted([0, 7]), tmp_path / "t.parquet")
    assert tables.read(tmp_path / "t.parquet").labels == ["neg", "7"]


def test_sequences_of_numbers_have_names_too(tmp_path: Path) -> None:
    """The labels of sequences are names; a column of numbers to learn from stays one."""
    rows = {"session": [0, 0, 1, 1], "x": [0.5, 1.0, 1.5, 2.0]}
    parquet.write_table(noted([0, 0, 1, 1], **rows), tmp_path / "t.parquet")
    read = series.read(tmp_path / "t.parquet", Asked(key="session", labels=("label",)))
    assert list(read.labels["label"]) == ["neg", "pos"]
    features = Asked(key="session", features=("x", "label"))
    numbers = series.read(tmp_path / "t.parquet", features, need_label=False)
    np.testing.assert_array_equal(np.concatenate(list(numbers.sequences))[:, 1], [0, 0, 1, 1])


def test_a_type_survives_its_own_file() -> None:
    """The type of a column can be written by Arrow and read."""
    kind = class_labels(noted([0]).schema)["label"]
    again = type(kind).__arrow_ext_deserialize__(pa.int64(), kind.__arrow_ext_serialize__())
    assert again.names == ("neg", "pos")
    assert again == kind
