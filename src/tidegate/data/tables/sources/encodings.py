"""Which encoding a text is in, and what to do with one that is not read."""

import codecs
from collections.abc import Callable

_SAMPLE = 4096  # bytes that show the encoding
_CONTROLS = 0.45  # least share of such characters: half of UTF-16 for Latin, Greek, Cyrillic and other small scripts
_FEW = 0.25  # of all characters are outside ASCII in texts of Western and Central European languages, or fewer

# Each with the characters by which it shows, and their least share of those outside ASCII. Bytes of one encoding often
# make characters in another, but rare ones: the first that fits is taken. The first half of GB 2312 has the usual ones.
_EAST_ASIAN: tuple[tuple[str, str, Callable[[str], bool], float], ...] = (
    ("shift_jis", "SHIFT_JIS", lambda c: "\u3040" <= c <= "\u30ff", 0.3),  # kana
    ("euc_jp", "EUC-JP", lambda c: "\u3040" <= c <= "\u30ff", 0.3),
    ("euc_kr", "EUC-KR", lambda c: "\uac00" <= c <= "\ud7a3", 0.9),  # Hangul
    ("gb18030", "GB18030", lambda c: b"\xa1" <= c.encode("gb2312", "ignore") < b"\xd8", 0.9),
    ("big5", "BIG5", lambda c: "\u4e00" <= c <= "\u9fff", 0.7),
)


def encoding_of(head: bytes) -> str:
    """Tells whether a text is UTF-8, UTF-16 or UTF-32, by a mark or by where the zero bytes are."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if head[:1] != b"\0" and head[1:4] == b"\0\0\0":
        return "utf-32-le"
    if head[:3] == b"\0\0\0" and head[3:4] not in {b"", b"\0"}:
        return "utf-32-be"
    sample = head[: min(len(head), _SAMPLE) // 2 * 2]
    zeros = sample[::2].count(0), sample[1::2].count(0)
    wide = "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
    return wide if zeros[0] != zeros[1] and _reads_as(wide, sample) else "utf-8-sig"


def _reads_as(wide: str, sample: bytes) -> bool:
    """Whether bytes are text in UTF-16, whose zeros and other high bytes UTF-8 would take for control characters."""
    controls = sum(byte < ord(" ") and byte not in b"\t\r\n" for byte in sample)
    if controls >= _CONTROLS * len(sample):
        return True
    pairs = {sample[place : place + 2] for place in range(0, len(sample), 2)}
    return "\n".encode(wide) in pairs and not _is_utf8(sample)


def _is_utf8(sample: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def complaint(error: UnicodeDecodeError, line: int) -> str:
    """Says that a text cannot be decoded, and what to do.

    Args:
        error: What the decoder says.
        line: Number of the line.
    """
    name, data = error.encoding.upper(), error.object
    what = f"line {line} is not {name} (byte 0x{data[error.start]:02x})"
    begin = data.rfind(b"\n", 0, error.start) + 1
    sample = data[begin : begin + _SAMPLE]
    if name != "UTF-8" or _is_binary(sample):
        return f"{what}: this is binary data and no text, or it is damaged; give a table of texts in UTF-8"
    return f"{what}: save the file as UTF-8; {_advice(sample)}"


def _is_binary(sample: bytes) -> bool:
    return b"\0" in sample


def _advice(sample: bytes) -> str:
    """Names the encoding that a text may be in, or the usual ones."""
    for codec, name, common, share in _EAST_ASIAN:
        if _share(sample, codec, common) >= share:
            return f"it reads as {name}, from which `iconv -f {name} -t UTF-8` converts it"
    western = len(sample.translate(None, bytes(range(128)))) <= _FEW * len(sample)
    if western:
        return (
            "`iconv -f WINDOWS-1252 -t UTF-8` does so for older files in Western European languages, WINDOWS-1250 in "
            "the place of WINDOWS-1252 for Central European ones"
        )
    return (
        "`iconv -f NAME -t UTF-8` does so, where NAME is the encoding of the program that wrote it, such as "
        "WINDOWS-1251 or KOI8-R (Cyrillic), WINDOWS-1253 (Greek), 1255 (Hebrew), 1256 (Arabic), TIS-620 (Thai) or "
        "GB18030 (Chinese)"
    )


def _share(sample: bytes, codec: str, common: Callable[[str], bool]) -> float:
    """Computes the share of usual characters among those outside ASCII, 0 if the bytes are not of the encoding."""
    try:
        text = codecs.getincrementaldecoder(codec)().decode(sample)
    except UnicodeDecodeError:
        return 0.0
    others = [c for c in text if not c.isascii()]
    return sum(map(common, others)) / max(1, len(others))
