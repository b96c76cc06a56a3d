"""Tables as files: encodings, delimiters, line ends, headers, packing; what is out of shape is told with its line."""

from __future__ import annotations

import contextlib
import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchlists import sources
from watchlists.errors import SourceError
from watchlists.records import Name
from watchlists.sources import Report, TooManyRefusedError, opening, read

HEAD = "entry_id,family_name,given_name\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_the_encoding_of_a_table_is_found(encoding: str, lenient: Callable[..., Any]) -> None:
    [entry], report = lenient((HEAD + "1,Peña,José\n").encode(encoding), "barred-csv")
    assert entry.names == (Name("Peña", "José"),)
    assert report.encoding == encoding


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("1,Peña,José\n".encode() + "2,Nuñez,Ana\n".encode("cp1252"), 3, "UTF-8 in one place"),
        (b"1,A\n2,B\x81\n", 3, "neither UTF-8 nor Windows-1252"),
        ("1,A,Peñ".encode()[:-1], 2, "ends inside a character"),
        (b"1,A\0,B\n", 2, "NUL"),
    ],
)
def test_a_wrong_encoding_is_told_with_its_line(content: bytes, line: int, words: str, lenient: Callable[..., Any]) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        lenient(HEAD.encode() + content, "barred-csv")
    assert caught.value.line == line


def test_an_encoding_that_is_named_is_held_to(lenient: Callable[..., Any]) -> None:
    data = (HEAD + "1,Łukasz,Žofia\n").encode("cp1250")
    [entry], _ = lenient(data, "barred-csv", encoding="cp1250")
    assert entry.names[0].family == "Łukasz"
    with pytest.raises(SourceError, match="not utf-8"):
        lenient(data, "barred-csv", encoding="utf-8")
    with pytest.raises(SourceError, match="no encoding 'klingon'"):
        lenient(data, "barred-csv", encoding="klingon")


@given(text=st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\ufeff"), min_size=1, max_size=80), size=st.integers(1, 7))
def test_utf8_is_known_however_its_bytes_arrive(text: str, size: int) -> None:
    class Drip(io.BytesIO):
        def read(self, count: int | None = -1) -> bytes:
            return super().read(min(size, count) if count and count > 0 else size)

    assert opening.detect_encoding(Drip(b"head" + text.encode("utf-8")), "f") == "utf-8"


@given(text=st.text(alphabet="abc,é\xa0ñÿ“”€\n", min_size=1, max_size=60), size=st.integers(1, 7))
def test_windows_1252_is_known_or_refused_but_never_taken_for_utf8(text: str, size: int) -> None:
    raw = b"head" + text.encode("cp1252")
    with contextlib.suppress(UnicodeDecodeError):
        raw.decode("utf-8")
        return
    with contextlib.suppress(SourceError):
        assert opening.detect_encoding(io.BytesIO(raw), "f") == "cp1252"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_by_the_header(delimiter: str, lenient: Callable[..., Any]) -> None:
    text = (HEAD + '1,"Doe",Jo\n').replace(",", delimiter)
    for lead in ("", "sep=" + delimiter + "\n", "\n\n"):
        assert lenient(lead + text, "barred-csv")[0][0].names == (Name("Doe", "Jo"),)


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_any_line_end_will_do_and_lines_are_counted(ends: str, lenient: Callable[..., Any]) -> None:
    _, report = lenient(ends.join(["entry_id,family_name,given_name", '1,"Two\nlines",Jo', "2,,", "3,Roe,Al"]), "barred-csv")
    assert report.entries == 2
    assert [p.line for p in report.problems] == [4]


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (HEAD + '1,"Doe,Jo\n', 2, "ends inside a quoted value"),
        (HEAD + '1,Doe,Jo\n\n2,"Doe"x,Jo\n', 4, "a quote is out of place"),
        (HEAD + "1,Doe,Jo\n2,Ro", 3, "cut off"),
        (HEAD + '1,"' + "x\n" * 300 + '",Jo\n', 2, "spans over"),
        (HEAD + "1," + "x" * 200_000 + ",Jo\n", 2, "longer than 131,072"),
        ("entry_id,family_name,given_name,sex,sex\n", 1, "there twice"),
        ("\n\n", 0, "no header"),
        ("1,Doe,Jo\n2,Roe,Al\n", 1, "'entry_id' is missing"),
        ("x" * (opening.MAX_LINE + 2), 1, "a line is longer"),
        ("x" * 200_000 + "\n", 1, "'entry_id' is missing"),
    ],
)
def test_a_table_out_of_shape_is_refused_with_its_line(content: str, line: int, words: str, lenient: Callable[..., Any]) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        lenient(content, "barred-csv")
    assert (caught.value.file, caught.value.line) == ("list.csv", line)


def test_a_cell_of_several_values_with_stray_quotes_and_line_ends_is_parted_all_the_same(lenient: Callable[..., Any]) -> None:
    [entry], _ = lenient('id,schema,name,aliases\n1,Person,Al Roe,"Al\r Poe;""Jo Doe;x y"\n', "opensanctions-csv")
    assert [n.family for n in entry.names][:2] == ["Roe", "Poe"]


def test_rows_too_short_or_too_long_are_refused_one_by_one(lenient: Callable[..., Any]) -> None:
    entries, report = lenient(HEAD + "1,Doe\n2,Roe,Al,x\n3,Poe,Di,,\n4,Noe\n", "barred-csv")
    assert [e.id for e in entries] == ["3"], "empty cells too many, as Excel leaves them, are none"
    assert [p.line for p in report.problems] == [2, 3, 5]


def test_a_file_without_a_header_does_not_show_its_people(lenient: Callable[..., Any]) -> None:
    with pytest.raises(SourceError, match="is this line the header") as caught:
        lenient("1,Zylberschtein,Ottilie\n", "barred-csv")
    assert "zylber" not in str(caught.value).lower()


def test_an_empty_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is empty"):
        list(read(io.BytesIO(), "barred-csv"))
    with pytest.raises(SourceError, match="No such file") as caught:
        list(read(tmp_path / "none.csv", "barred-csv"))
    assert caught.value.file.endswith("none.csv")
    with pytest.raises(SourceError, match="folder"):
        list(read(tmp_path, "barred-csv"))


def test_an_unknown_format_gets_the_nearest_right_one() -> None:
    with pytest.raises(sources.UnknownFormatError, match="did you mean 'barred-csv'"):
        read(io.BytesIO(b"x"), "bared-csv")
    with pytest.raises(ValueError, match="kinds are"):
        read(io.BytesIO(b"x"), "barred-csv", kinds={"ghost"})
    with pytest.raises(TypeError, match="binary"):
        list(read(io.StringIO("x"), "barred-csv"))  # type: ignore[arg-type]


def test_an_upload_that_cannot_seek_is_read_all_the_same() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: Any) -> int:
            raise OSError

    assert len(list(read(Pipe((HEAD + "1,Doe,Jo\n").encode()), "barred-csv", name="upload.csv"))) == 1
    with pytest.raises(SourceError, match=r"upload.csv: the file is larger than the 10 bytes"):
        list(read(Pipe(b"x" * 11), "barred-csv", name="upload.csv", max_bytes=10))


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_compressed_files_are_bounded_by_what_is_in_them(lenient: Callable[..., Any]) -> None:
    good = (HEAD + "1,Doe,Jo\n").encode()
    bomb = b"x" * 5_000_000
    for packed in (gzip.compress(good), zipped(**{"a.csv": good})):
        assert len(lenient(packed, "barred-csv")[0]) == 1
        with pytest.raises(SourceError, match=r"damaged or was cut off"):
            lenient(packed[: len(packed) * 2 // 3], "barred-csv")
    for packed in (gzip.compress(bomb), zipped(**{"a.csv": bomb})):
        with pytest.raises(SourceError, match="unpacked, the file is larger"):
            lenient(packed, "barred-csv", max_bytes=1_000_000)
    with pytest.raises(SourceError, match="holds 2 files"):
        lenient(zipped(**{"a.csv": good, "b.csv": good}), "barred-csv")
    with pytest.raises(SourceError, match=r"no sdn.csv"):
        lenient(zipped(**{"a.csv": good}), "ofac-csv")


def test_when_too_many_rows_are_refused_the_list_is() -> None:
    text = HEAD + "".join(f"{i},{'' if i < 3 else 'Doe'},\n" for i in range(100))
    report = Report()
    with pytest.raises(TooManyRefusedError, match=r"3 of 100 rows were refused, over the 1\.0% allowed") as caught:
        list(read(io.BytesIO(text.encode()), "barred-csv", name="f", report=report))
    assert "f:2:family_name" in str(caught.value)
    assert len(list(read(io.BytesIO(text.encode()), "barred-csv", report=Report(max_refused=0.05)))) == 97


def test_problems_past_the_thousandth_are_counted_only(lenient: Callable[..., Any]) -> None:
    _, report = lenient(HEAD + "".join(f"{i},,\n" for i in range(3000)), "barred-csv")
    assert report.refused == 3000 and len(report.problems) == 1000
