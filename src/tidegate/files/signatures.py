"""What a file is by how it begins, whatever it is called."""

import re

PARQUET, ARROW, SAFETENSORS = "a Parquet file", "an Arrow file", "a safetensors file"
ZIP, NUMPY, PICKLE = "a zip archive", "a numpy array", "a Python pickle"
HDF5, SQLITE, OLD_OFFICE = "an HDF5 file", "an SQLite database", "a document of Excel or Word up to 2003"
PDF, RTF, TAR = "a PDF document", "a document in rich text", "a tar archive"
AVRO, ORC, FEATHER_1, LOCKED_PARQUET = (
    "an Avro file",
    "an ORC file",
    "a Feather file of the first version",
    "an encrypted Parquet file",
)
SPSS, STATA, SAS, R = "a file of SPSS", "a file of Stata", "a file of SAS", "a file of R"
MATLAB, DUCKDB, ACCESS = "a file of MATLAB", "a DuckDB database", "an Access database"
FASTTEXT_MODEL, FINALFUSION = "a model of fastText with all of its parts", "a finalfusion file"
WEB_PAGE, XML = "a page of the web (HTML), perhaps one that asks to sign in", "XML"
GIT_LFS = "a pointer of Git LFS and not the file that it stands for"
ZEROS = "binary data, which begins with zeros"

GZIP, BZIP2, XZ, ZSTD, LZ4 = PACKED = (
    "a gzip file",
    "a bzip2 file",
    "an xz file",
    "a file packed by Zstandard",
    "a file packed by LZ4",
)
EMPTY_ZIP = "an empty zip archive"
_7Z, _RAR, _CABINET = "a 7z archive", "a RAR archive", "a cabinet archive"
_COMPRESS = "a file packed by `compress`"
_PICTURE, _SOUND, _PROGRAM = "a picture", "a recording of sound or film", "a program"

STARTS: dict[bytes, str] = {
    b"PAR1\x15": PARQUET,
    b"ARROW1\0\0": ARROW,
    b"\xff\xff\xff\xff": ARROW,
    b"PK\x03\x04": ZIP,
    b"PK\x05\x06": EMPTY_ZIP,
    b"\x1f\x8b": GZIP,
    b"BZh": BZIP2,
    b"\xfd7zXZ\0": XZ,
    b"\x28\xb5\x2f\xfd": ZSTD,
    b"\x04\x22\x4d\x18": LZ4,
    b"7z\xbc\xaf\x27\x1c": _7Z,
    b"Rar!\x1a\x07": _RAR,
    b"MSCF\0\0\0\0": _CABINET,
    b"\x1f\x9d": _COMPRESS,
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": OLD_OFFICE,
    b"%PDF-": PDF,
    b"%!PS": "a PostScript document",
    b"{\\rtf": RTF,
    b"SQLite format 3\0": SQLITE,
    b"\x89HDF\r\n\x1a\n": HDF5,
    b"\x93NUMPY": NUMPY,
    b"Obj\x01": AVRO,
    b"FEA1": FEATHER_1,
    b"PARE": LOCKED_PARQUET,
    **dict.fromkeys((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), PICKLE),
    **dict.fromkeys((b"(lp0\n", b"(dp0\n", b"ccopy_reg\n", b"cpandas."), PICKLE),
    b"$FL2@(#)": SPSS,
    b"$FL3@(#)": SPSS,
    b"<stata_dta>": STATA,
    b"RDX2\n": R,
    b"RDX3\n": R,
    b"X\n\0\0\0": R,
    b"MATLAB 5.0 MAT-file": MATLAB,
    b"GGUF": "a GGUF model",
    b"\xba\x16O/": FASTTEXT_MODEL,
    b"FiFu": FINALFUSION,
    b"\x89PNG\r\n": _PICTURE,
    b"\xff\xd8\xff": _PICTURE,
    b"GIF87a": _PICTURE,
    b"GIF89a": _PICTURE,
    b"II*\0": _PICTURE,
    b"MM\0*": _PICTURE,
    b"ID3\x03": _SOUND,
    b"ID3\x04": _SOUND,
    b"OggS\0": _SOUND,
    b"fLaC\0": _SOUND,
    b"\x7fELF": _PROGRAM,
}
"""The first bytes of files, and what such a file is, with its article."""
_STARTS, _LONGEST = tuple(STARTS), max(map(len, STARTS))

_PATTERNS = tuple(
    (re.compile(pattern, re.DOTALL), name)
    for pattern, name in (
        (rb".{257}ustar", TAR),
        (rb"ORC[\0-\x1f][\0-\x08\x0e-\x1f]", ORC),
        (rb".{4}ftyp", _SOUND),
        (rb"RIFF.{4}(?:WAVEfmt |AVI LIST)", _SOUND),
        (rb"RIFF.{4}WEBP", _PICTURE),
        (rb".{4}Standard (?:Jet|ACE) DB\0", ACCESS),
        (rb".{8}DUCK", DUCKDB),
        (rb".{12}\xc2\xea\x81\x60\xb3\x14\x11\xcf\xbd\x92\x08\x00\x09\xc7\x31\x8c\x18\x1f\x10\x11", SAS),
        (rb"\0{4}", ZEROS),  # the last one, for some of those above begin so too
    )
)
"""Other beginnings of files, as regular expressions in which a point stands for any byte."""

_TEXTS = (
    (re.compile(r"\s*<(?:!doctype html|html|head|body)\b", re.IGNORECASE), WEB_PAGE),
    (re.compile(r"\s*<\?xml\b"), XML),
    (re.compile(r"version https://git-lfs"), GIT_LFS),
)
_LARGEST_HEADER = 1 << 32  # bytes, of a safetensors file


def name_of(head: bytes) -> str | None:
    """Names a file that is no text by its first bytes, 512 or more if it has them; None if nothing known begins so.

    Example:
        >>> name_of(b"%PDF-1.7"), name_of(b"text,label")
        ('a PDF document', None)
    """
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < _LARGEST_HEADER:
        return SAFETENSORS
    if head.startswith(_STARTS):
        return next(name for start, name in STARTS.items() if head.startswith(start))
    return next((name for pattern, name in _PATTERNS if pattern.match(head)), None)


def name_of_text(start: str | bytes) -> str | None:
    """Names a text that is written for a program, by how it begins: a web page, XML, a pointer of Git LFS."""
    text = (start.decode(errors="replace") if isinstance(start, bytes) else start).removeprefix("\ufeff")
    return next((name for pattern, name in _TEXTS if pattern.match(text)), None)


def is_packed(name: str) -> bool:
    """Whether a file of this name holds others."""
    return name in {*PACKED, ZIP, TAR, EMPTY_ZIP, _7Z, _RAR, _CABINET, _COMPRESS}


def may_become_more(head: bytes) -> bool:
    """Whether the next bytes are needed to tell what these are."""
    return 0 < len(head) < _LONGEST and any(len(head) < len(start) and start.startswith(head) for start in STARTS)
