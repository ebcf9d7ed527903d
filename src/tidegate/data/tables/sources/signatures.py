"""Files that are no tables of texts, and what to do with them."""

from tidegate.files import signatures as s

UNPACK = "unpack it and give the table in it"
"""What to do with an archive."""

_SHEET = "save the sheet as “CSV UTF-8”, or convert it: pandas.read_excel(...).to_csv(..., index=False)"
_REMEDIES = {
    s.OLD_OFFICE: _SHEET,
    s.PDF: "export its texts as a table",
    s.RTF: "save it as plain text",
    s.SQLITE: "export a table: `sqlite3 -header -csv FILE 'SELECT * FROM NAME'`",
    s.DUCKDB: "export a table: COPY name TO 'name.parquet'",
    s.ACCESS: "export a table as CSV",
    s.HDF5: "convert it: pandas.read_hdf(...).to_parquet(...)",
    s.NUMPY: "write the texts as CSV or JSON Lines",
    s.AVRO: "convert it to Parquet or JSON Lines",
    s.ORC: "convert it: pandas.read_orc(...).to_parquet(...)",
    s.FEATHER_1: "convert it: pandas.read_feather(...).to_parquet(...)",
    s.LOCKED_PARQUET: "write it without encryption",
    s.PICKLE: "it may run any code and is not read, write its table as Parquet or CSV",
    s.SPSS: "convert it: pandas.read_spss(...).to_parquet(...)",
    s.STATA: "convert it: pandas.read_stata(...).to_parquet(...)",
    s.SAS: "convert it: pandas.read_sas(...).to_parquet(...)",
    s.R: "write its table as CSV: write.csv(table, 'table.csv', row.names = FALSE)",
    s.MATLAB: "write its texts as CSV: writetable(table, 'table.csv')",
    s.SAFETENSORS: "it holds a model or vectors: give a table of texts",
    s.WEB_PAGE: "download the file itself",
    s.XML: "convert it to CSV or JSON Lines, as pandas.read_xml(...).to_csv(...) does",
    s.GIT_LFS: "`git lfs pull` fetches that",
}
_READ = {s.PARQUET, s.ARROW}


def check_is_readable(name: str | None) -> None:
    """Checks that a file is none of those that are never read.

    Args:
        name: What it is, of `files.signatures`.

    Raises:
        ValueError: It is one.
    """
    if name is not None and name not in _READ:
        default = UNPACK if s.is_packed(name) else "give a table of texts"
        raise ValueError(f"this is {name}: {_REMEDIES.get(name, default)}")


def document_of(names: list[str]) -> str | None:
    """Says what a zip archive is that is more than an archive, and what to do; None if it is not."""
    files = set(names)
    if any(name.startswith("xl/") for name in names):
        return f"an Excel workbook: {_SHEET}"
    if any(name.startswith(("word/", "ppt/")) for name in names):
        return "a document of Word or PowerPoint: save its texts as a table, CSV or a text a line"
    if "META-INF/container.xml" in files:
        return "an e-book (EPUB): save its texts as a table, CSV or a text a line"
    if {"mimetype", "content.xml"} <= files:
        return f"a document of LibreOffice: {_SHEET}"
    if any(name.endswith(".iwa") for name in names):
        return "a document of Numbers or Pages: export it as CSV"
    if "META-INF/MANIFEST.MF" in files:
        return "a Java program: give a table of texts"
    if any(name.endswith("data.pkl") for name in names):
        return "a file of PyTorch and no table: write the texts as CSV or JSON Lines"
    if any(name.endswith(".weights.h5") for name in names):
        return "a model of Keras and no table: give a table of texts"
    if names and all(name.endswith(".npy") for name in names):
        return "an .npz file of numpy arrays: write the texts as CSV or JSON Lines"
    return None
