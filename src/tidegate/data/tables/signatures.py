"""Files that are no tables of texts: what they are called, and what to do with them."""

_EXCEL = "save the sheet as “CSV UTF-8”, or convert it: pandas.read_excel(...).to_csv(..., index=False)"
UNPACK = "unpack it and give the table in it"
"""What to do with an archive."""

_PICKLE = "a Python pickle, which may run any code and is not read"
_OTHERS = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a document of Excel or Word up to 2003", _EXCEL),
    (b"%PDF-", "a PDF document", "export its texts as a table"),
    (b"{\\rtf", "a document in rich text", "save it as plain text"),
    (b"SQLite format 3\0", "an SQLite database", "export a table: `sqlite3 -header -csv FILE 'SELECT * FROM NAME'`"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "convert it: pandas.read_hdf(...).to_parquet(...)"),
    (b"\x93NUMPY", "a numpy array", "write the texts as CSV or JSON Lines"),
    (b"Obj\x01", "an Avro file", "convert it to Parquet or JSON Lines"),
    (b"FEA1", "a Feather file of the first version", "convert it: pandas.read_feather(...).to_parquet(...)"),
    (b"PARE", "an encrypted Parquet file", "write it without encryption"),
    (b"\x80\x02", _PICKLE, "write it as Parquet or CSV"),
    (b"\x80\x03", _PICKLE, "write it as Parquet or CSV"),
    (b"\x80\x04\x95", _PICKLE, "write it as Parquet or CSV"),
    (b"\x80\x05\x95", _PICKLE, "write it as Parquet or CSV"),
    (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"\x1f\x9d", "a file packed by `compress`", UNPACK),
    (b"\x89PNG\r\n", "a picture", "give a table of texts"),
    (b"\xff\xd8\xff", "a picture", "give a table of texts"),
    (b"GIF89a", "a picture", "give a table of texts"),
    (b"\x7fELF", "a program", "give a table of texts"),
)


STARTS = tuple(start for start, *_ in _OTHERS)
"""The first bytes of files that are no tables."""


def check_is_readable(head: bytes) -> None:
    """Checks that bytes are not those of a file that is never read.

    Raises:
        ValueError: They are.
    """
    for start, what, remedy in _OTHERS:
        if head.startswith(start):
            raise ValueError(f"this is {what}: {remedy}")
    if head[257:262] == b"ustar":
        raise ValueError(f"this is a tar archive: {UNPACK}")
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 1 << 32:
        raise ValueError("this is a safetensors file, which holds a model or vectors: give a table of texts")
    if head.startswith(b"\0\0\0\0"):
        raise ValueError("this is binary data, which begins with zeros: give a table of texts")


def document_of(names: list[str]) -> str | None:
    """Says what a zip archive is that is more than an archive, and what to do; None if it is not."""
    if any(name.startswith("xl/") for name in names):
        return f"an Excel workbook: {_EXCEL}"
    if any(name.startswith(("word/", "ppt/")) for name in names) or {"mimetype", "content.xml"} <= set(names):
        return f"a document of an office program: {_EXCEL}"
    if any(name.endswith("data.pkl") for name in names):
        return "a file of PyTorch and no table: write the texts as CSV or JSON Lines"
    if names and all(name.endswith(".npy") for name in names):
        return "an .npz file of numpy arrays: write the texts as CSV or JSON Lines"
    return None
