"""Encodings: what is found in the first bytes, what is said aloud, what is refused."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from edgekit_converters.data import DataOptions, read_labelled
from edgekit_runtime.errors import DataError, OptionError

NAMES = ("negative", "positive")
CHINESE = "text,label\n这部电影很好看，我非常喜欢！,1\n酒店的房间太小，服务也很差。,0\n手机收到了，质量不错👍,1\n"
TEXTS = ("这部电影很好看，我非常喜欢！", "酒店的房间太小，服务也很差。", "手机收到了，质量不错👍")


def write(folder: Path, data: bytes) -> Path:
    path = folder / "data.csv"
    path.write_bytes(data)
    return path


def read(path: Path, **options: object) -> tuple[tuple[str, ...], list[str]]:
    said: list[str] = []
    return read_labelled(path, NAMES, DataOptions(**options), say=said.append).texts, said


@pytest.mark.parametrize(
    "data",
    [
        CHINESE.encode(),
        CHINESE.encode("utf-8-sig"),
        CHINESE.encode("utf-16"),
        codecs.BOM_UTF16_BE + CHINESE.encode("utf-16-be"),
        CHINESE.encode("utf-32"),
    ],
)
def test_utf_8_and_what_has_a_byte_order_mark_is_read_without_a_word(data: bytes, tmp_path: Path) -> None:
    assert read(write(tmp_path, data)) == (TEXTS, [])
    assert read_labelled(tmp_path / "data.csv", NAMES).texts == TEXTS


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "gb18030", "UTF-8"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_an_encoding_is_named(encoding: str, mark: str, tmp_path: Path) -> None:
    assert read(write(tmp_path, (mark + CHINESE).encode(encoding)), encoding=encoding) == (TEXTS, [])


@pytest.mark.parametrize("encoding", ["gb18030", "gbk", "gb2312"])
def test_chinese_in_gb18030_is_read_where_that_can_be_said(encoding: str, tmp_path: Path) -> None:
    path = write(tmp_path, CHINESE.replace("👍", "").encode(encoding))
    texts, said = read(path)
    assert texts[:2] == TEXTS[:2]
    assert said == [f"{path} is not UTF-8 and is read as GB18030, in which it is Chinese; --encoding says otherwise"]
    with pytest.raises(DataError, match=r"line 2: it is not UTF-8; name the encoding with --encoding, such as gb18030"):
        read_labelled(path, NAMES)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("text,label\ncafé très bon,1\n", "latin-1"),
        ("text,label\nschöne Füße für große,1\n", "cp1252"),
        ("text,label\nхороший фильм,1\n", "cp1251"),
        ("text,label\n이 영화는 정말 재미있고 배우들의 연기도 좋았다,1\n", "euc-kr"),
        ("text,label\nこの映画はとても面白かったです,1\n", "euc-jp"),
        ("text,label\nこの映画はとても面白かったです,1\n", "shift-jis"),
        ("text,label\n這部電影很好看我非常喜歡演員的表演,1\n", "big5"),
    ],
)
def test_other_encodings_are_not_taken_for_chinese(text: str, encoding: str, tmp_path: Path) -> None:
    path = write(tmp_path, text.encode(encoding))
    with pytest.raises(DataError, match=r"data\.csv, line 2: it is not UTF-8; name the encoding with --encoding"):
        read(path)
    assert read(path, encoding=encoding)[0] == (text.splitlines()[1][:-2],)


def test_a_few_broken_bytes_in_utf_8_are_bad_rows(tmp_path: Path) -> None:
    path = write(tmp_path, CHINESE.encode() + b"broken \xe7\x94,0\n")
    with pytest.raises(DataError, match="line 5: it is not UTF-8"):
        read(path)
    texts, said = read(path, skip_bad=True)
    assert texts == TEXTS
    assert len(said) == 1 and "were skipped: 1;" in said[0]


def test_bytes_far_behind_the_beginning_are_an_error_with_their_line(tmp_path: Path) -> None:
    path = write(tmp_path, b"text,label\n" + b"a plain good film,1\n" * 5000 + "很好,1\n".encode("gbk"))
    with pytest.raises(DataError, match="line 5002: it is not UTF-8; name the encoding with --encoding"):
        read(path)
    assert read(path, encoding="gbk")[0][-1] == "很好"


def test_a_wrong_encoding_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, CHINESE.encode())
    with pytest.raises(DataError, match="line 2: it is not ASCII"):
        read(path, encoding="ascii")


def test_utf_16_without_a_mark_names_the_option(tmp_path: Path) -> None:
    path = write(tmp_path, "text,label\na good film,1\n".encode("utf-16-le"))
    with pytest.raises(DataError, match="if it is UTF-16, say --encoding utf-16-le or utf-16-be"):
        read(path)
    assert read(path, encoding="utf-16-le")[0] == ("a good film",)


def test_a_mark_that_the_named_encoding_needs_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path, CHINESE.encode())
    with pytest.raises(DataError, match=r"is not UTF-16 \(UTF-16 stream does not start with BOM\); name its encoding"):
        read(path, encoding="utf-16")


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "base64", ""])
def test_an_encoding_that_there_is_not(encoding: str) -> None:
    with pytest.raises(OptionError, match=f"there is no encoding '{encoding}'; --encoding takes such as utf-8"):
        DataOptions(encoding=encoding)
