"""Pages of Parquet files that are not as long as they say."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet as files

from tidegate.data import tables
from tidegate.data.tables.arrow import parquet, parquet_pages
from tidegate.data.tables.arrow.parquet_pages import check_pages

ROWS = 500
COLUMNS = {
    "text": [None if row % 3 else "a good film " * (row % 7) for row in range(ROWS)],
    "a.b": [[row, None] for row in range(ROWS)],
    "nothing": pa.array([None] * ROWS, pa.int64()),
    "long": ["x" * 100_000] * 2 + ["y"] * (ROWS - 2),  # in whose header stand texts of this length
}
MILLION = 10**6


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("page", [100, 1 << 20])
def test_good_files_pass(tmp_path: Path, compression: str, version: str, page: int) -> None:
    """Files of every compression and version, with and without dictionaries, in pages of any size, are read."""
    table, path = pa.table(COLUMNS), tmp_path / "t.parquet"
    layout: dict[str, Any] = {"data_page_size": page, "use_dictionary": page > 100, "row_group_size": 300}
    files.write_table(table, path, compression=compression, data_page_version=version, **layout)
    assert tables.read(path).texts == [text or "" for text in COLUMNS["text"]]
    check_pages(path, list(COLUMNS))


def with_header(path: Path, change: Any) -> None:
    """Writes a file of one page whose sizes, unpacked and packed, are changed; a header holds them doubled."""
    files.write_table(pa.table({"text": ["abc"] * 9}), path, compression="none", use_dictionary=False)
    content = path.read_bytes()
    start, end, size = page_sizes(content)
    changed = b"".join(b"\x15" + varint(2 * number if number >= 0 else -2 * number - 1) for number in change(size))
    path.write_bytes(content[:start] + changed + content[end:])


def page_sizes(content: bytes) -> tuple[int, int, int]:
    """Finds the two fields of one size behind the type of the first page: where they are, and the size."""
    assert content[4:6] == b"\x15\0"
    end = content.index(b"\x15", 7)
    size = sum((byte & 127) << 7 * place for place, byte in enumerate(content[7:end]))
    assert content[6:end] == content[end : 2 * end - 6]
    return 6, 2 * end - 6, size // 2


def varint(number: int) -> bytes:
    found = []
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


@pytest.mark.parametrize(
    "change",
    [
        lambda size: (size, MILLION),
        lambda size: (MILLION, size),
        lambda size: (MILLION, MILLION),
        lambda size: (size, -1),
        lambda size: (-1, size),
    ],
)
def test_a_page_that_announces_too_much_is_refused(tmp_path: Path, change: Any) -> None:
    """A page beyond the file, or one that cannot unpack to what it says, is one error, before it is read."""
    path = tmp_path / "t.parquet"
    with_header(path, lambda size: (size, size))
    assert tables.read(path, need_label=False).texts == ["abc"] * 9
    with_header(path, change)
    with pytest.raises(ValueError, match=r"t\.parquet: the Parquet file is damaged: a page announces"):
        tables.read(path, need_label=False)


@pytest.mark.parametrize(
    "header",
    [
        b"\xff",
        b"\x15\x06\x00",  # it ends without the sizes
        b"\x18\xff\xff\xff\xff\x0f",  # 4 GB of text
        b"\x19\xf5\xff\xff\x7f",  # a list of millions
        b"\x1c" * 50,  # structs in structs
        b"\x19\x19" * 50,  # lists in lists
        b"\x15" + b"\xff" * 20,  # a number without end
        b"\x1b\x01",  # a map
    ],
)
@pytest.mark.parametrize("where", ["page", "footer"])
def test_a_damaged_struct_is_one_error(tmp_path: Path, header: bytes, where: str) -> None:
    """What is no header of a page is one error, and so is what is no footer, though pyarrow would not open that."""
    path = tmp_path / "t.parquet"
    files.write_table(pa.table({"text": ["abc"] * 40}), path, compression="none", use_dictionary=False)
    content = path.read_bytes()
    if where == "page":
        path.write_bytes(content[:4] + header + content[4 + len(header) :])
    else:
        path.write_bytes(content[:200] + header + len(header).to_bytes(4, "little") + b"PAR1")
    if where == "page" or header != b"\x15\x06\x00":
        with pytest.raises(ValueError, match=r"^the Parquet file is damaged"):
            check_pages(path, ["text"])


def test_a_column_is_found_by_its_place(tmp_path: Path) -> None:
    """Pages are looked at by the column that pyarrow reads them for, whatever path is noted with them."""
    path = tmp_path / "t.parquet"
    for change in (lambda size: (size, size), lambda size: (MILLION, size)):
        with_header(path, change)
        content = path.read_bytes()
        schema = content.index(b"text", len(content) - 8 - int.from_bytes(content[-8:-4], "little"))
        path.write_bytes(content[:schema] + b"TEXT" + content[schema + 4 :])
        assert parquet.schema(path).names == ["TEXT"]
        if change(1) == (1, 1):
            check_pages(path, ["TEXT"])
        else:
            check_pages(path, ["text"])  # another column, which nobody reads
            with pytest.raises(ValueError, match="a page announces"):
                check_pages(path, ["TEXT"])


@pytest.mark.parametrize("dictionary", [False, True])
@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_a_value_of_gigabytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str, dictionary: bool
) -> None:
    """A value that pyarrow would take gigabytes for is one error before it is read; many shorter ones are read."""
    monkeypatch.setattr(parquet_pages, "_LONGEST_VALUE", 1000)
    path = tmp_path / "t.parquet"
    for text, count in (("x" * 900, 20), ("x" * 2000, 1)):
        files.write_table(pa.table({"text": [text] * count}), path, compression=compression, use_dictionary=dictionary)
        if count == 1:
            with pytest.raises(ValueError, match=r"t.parquet: a page holds 2,0\d\d bytes in 1 values"):
                tables.read(path, need_label=False)
        else:
            assert tables.read(path, need_label=False).texts == [text] * count


def test_random_bytes_are_no_other_error(tmp_path: Path) -> None:
    """Whatever stands in the place of pages and footer, the check ends well or with its error."""
    path = tmp_path / "t.parquet"
    files.write_table(pa.table(COLUMNS).slice(2, 20), path)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    messages = []
    for _ in range(400):
        damaged = bytearray(content)
        for place in rng.integers(4, len(content) - 8, 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            check_pages(path, list(COLUMNS))
        except ValueError as error:
            messages.append(str(error))
    assert 0 < len(messages) < 400
    assert all(message.startswith("the Parquet file is damaged: ") for message in messages)
