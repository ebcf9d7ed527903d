"""What is said of texts in other encodings than UTF-8, UTF-16 and UTF-32."""

from pathlib import Path

import pytest

from tidegate.data.tables.rows import blocks

TEXTS = {
    "shift_jis": (["とても面白い映画です", "つまらない映画でした", "カメラがきれい"], "it reads as SHIFT_JIS"),
    "euc_jp": (["とても面白い映画です", "つまらない映画でした", "カメラがきれい"], "it reads as EUC-JP"),
    "gb18030": (["这部电影非常好看,值得推荐", "这个产品很差劲", "服务很好,下次再来"], "it reads as GB18030"),
    "gbk": (["這部電影非常好看", "這個產品很差勁"], "GB18030 .Chinese"),
    "big5": (["這部電影非常好看,值得推薦", "這個產品很差", "服務很好,下次再來"], "it reads as BIG5"),
    "euc_kr": (["정말 재미있는 영화입니다", "별로였어요 다시는", "배송이 빠르고 좋아요"], "it reads as EUC-KR"),
    "cp1252": (["ein schöner Film für alle", "très décevant à la fin", "naïve Idee"], "WINDOWS-1252.*Central European"),
    "cp1250": (["příliš žluťoučký kůň úpěl", "bardzo dobry film, polecam żonie"], "WINDOWS-1252.*Central European"),
    "cp1251": (["очень хороший фильм", "плохой товар, не советую"], "WINDOWS-1251 or KOI8-R"),
    "koi8_r": (["очень хороший фильм", "плохой товар, не советую"], "WINDOWS-1251 or KOI8-R"),
    "cp1253": (["πολύ καλή ταινία", "κακό προϊόν"], "1253 .Greek"),
    "cp1255": (["סרט טוב מאוד", "לא מומלץ בכלל"], "1255 .Hebrew"),
    "cp1256": (["فيلم جيد جدا", "منتج سيئ"], "1256 .Arabic"),
    "tis_620": (["หนังดีมาก", "ไม่ชอบเลย"], "TIS-620 .Thai"),
}


@pytest.mark.parametrize("encoding", TEXTS)
def test_other_encodings_are_named_or_listed(tmp_path: Path, encoding: str) -> None:
    """The advice names the encoding in which the bytes make usual letters; where none stands out, it lists several."""
    texts, advice = TEXTS[encoding]
    lines = "".join(f"{i},{text}\n" for i, text in enumerate(texts * 5))
    (tmp_path / "t.csv").write_bytes(f"id;text\n{lines.replace(',', ';')}".encode(encoding))
    with pytest.raises(ValueError, match=f"line 2 is not UTF-8.*{advice}"):
        list(blocks(tmp_path / "t.csv", None, None))


@pytest.mark.parametrize("content", [b"text\n\0\xff\xfe\x01", b"a\0\0\0b\xff\xff\xff", b"\xff\xfea\0b"])
def test_binary_data_gets_no_advice_on_encodings(tmp_path: Path, content: bytes) -> None:
    """Zero bytes, or half a character of UTF-16, are no matter of an older encoding."""
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match="binary data and no text, or it is damaged"):
        list(blocks(tmp_path / "t.csv", None, None))
