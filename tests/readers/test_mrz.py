"""ICAO 9303 zones: published examples of every layout, and mends only where a check digit proves them."""

from __future__ import annotations

import string
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readers import DocumentError, IdDocument, parse, parse_mrz
from readers.mrz import check_digit
from readers.testing import passport_mrz

TODAY = date(2026, 11, 21)


def test_published_zones(rows: Callable[[str], list[dict[str, Any]]]) -> None:
    wrong = []
    for row in rows("mrz/mrz.jsonl"):
        expected = row["expected"]
        if "throws" in expected:
            with pytest.raises(DocumentError):
                parse_mrz("\n".join(row["mrz"]), today=TODAY)
            continue
        document = parse_mrz("\n".join(row["mrz"]), today=TODAY)
        fields = expected.get("fields") or {}
        if "invalid text" in str(expected.get("errors")) or row["name"] == "invalid text":
            assert document.warned("element_malformed")
            continue
        given = " ".join(filter(None, (document.given_name, *document.middle_names)))
        checks = {
            "documentNumber": (document.number or "").endswith(fields.get("documentNumber") or ""),  # French numbers: whole
            "lastName": (fields.get("lastName") or None) == document.family_name if "lastName" in fields else True,
            "firstName": fields.get("firstName", given) == given,
            "birthDate": fields.get("birthDate") in (None, document.birth_date and document.birth_date.strftime("%y%m%d")),
            "expirationDate": fields.get("expirationDate") in (None, document.expiry_date and document.expiry_date.strftime("%y%m%d")),
            "sex": fields.get("sex", document.sex) in (document.sex, {"M": "male", "F": "female"}.get(document.sex or "")),
        }
        if expected.get("valid") and row["type"] != "SWISS_DRIVING_LICENSE":
            checks["verified"] = document.verification == "check_digits"
        if row["gatherer_checks"].get("composite") is False and not row["autocorrect_option"]:
            checks["unverified"] = document.verification == "none" or row["name"].endswith("embedded document check digit")
        wrong += [(row["name"], field) for field, ok in checks.items() if not ok]
    assert wrong == []


def test_mends_that_other_suites_make_are_made_where_a_digit_proves_them(rows: Callable[[str], list[dict[str, Any]]]) -> None:
    seen = 0
    for row in rows("mrz/mrz.jsonl"):
        mended = row["expected"].get("autocorrected")
        if not mended or row["type"] == "SWISS_DRIVING_LICENSE":
            continue
        seen += 1
        got, wanted = parse_mrz("\n".join(row["mrz"]), today=TODAY), parse_mrz("\n".join(mended), today=TODAY)
        assert (got.number, got.birth_date, got.expiry_date) == (wanted.number, wanted.birth_date, wanted.expiry_date), row["name"]
        assert got.warned("character_mended")
        assert not wanted.warned("character_mended")
    assert seen >= 3


PASSPORT = passport_mrz(number="L8O8B9I12", birth_date=date(1980, 8, 11), expiry_date=date(2030, 1, 18))


@pytest.mark.parametrize(("wrong", "right"), [("0", "O"), ("O", "0"), ("1", "I"), ("I", "1"), ("8", "B"), ("B", "8")])
def test_a_confused_character_in_the_number_is_mended(wrong: str, right: str) -> None:
    first, second = passport_mrz(number=f"X{right}3479374").split("\n")
    document = parse_mrz(f"{first}\nX{wrong}{second[2:]}", today=TODAY)
    assert document.number == f"X{right}3479374"
    assert document.verification == "check_digits"
    assert document.warned("character_mended")


def test_of_two_mends_that_a_digit_would_prove_none_is_made() -> None:
    """Two places three apart have the same weight: either could be the wrong one."""
    first, second = passport_mrz(number="XO3409374").split("\n")
    document = parse_mrz(f"{first}\nX03409374{second[9:]}", today=TODAY)
    assert document.number == "X03409374"
    assert document.warned("check_digit_wrong")


def test_a_character_no_digit_proves_stays_as_it_was_scanned() -> None:
    document = parse_mrz(PASSPORT.replace("SAMPLE", "5AMPLE"), today=TODAY)
    assert document.family_name == "5AMPLE"
    assert document.warned("element_malformed")


def test_a_wrong_digit_with_no_proven_mend_is_named() -> None:
    first, second = PASSPORT.split("\n")
    document = parse_mrz(f"{first}\n{second[:13]}9{second[14:]}", today=TODAY)
    assert document.verification == "none"
    assert document.warned("check_digit_wrong")


@pytest.mark.parametrize(
    "form", [lambda text: text.replace("\n", ""), lambda text: text.replace("\n", "\r\n"), lambda text: f"  {text}\r", str.lower]
)
def test_lines_joined_ended_or_cased_as_scanners_do(form: Callable[[str], str]) -> None:
    assert parse_mrz(form(PASSPORT), today=TODAY).number == "L8O8B9I12"


def test_a_name_line_without_its_last_fillers() -> None:
    first, second = PASSPORT.split("\n")
    assert parse_mrz(first.rstrip("<") + "\n" + second, today=TODAY).family_name == "SAMPLE"


@pytest.mark.parametrize(("born", "year"), [("260101", 2026), ("270101", 1927), ("991231", 1999), ("100101", 2010)])
def test_the_century_of_a_birth_is_the_latest_that_can_be(born: str, year: int) -> None:
    first, second = PASSPORT.split("\n")
    line = second[:13] + born + check_digit(born) + second[20:43]
    document = parse_mrz(f"{first}\n{line}{check_digit(line[:10] + line[13:20] + line[21:43])}", today=TODAY)
    assert document.birth_date is not None
    assert document.birth_date.year == year


@pytest.mark.parametrize(
    "zone",
    [
        "V<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL8988901C4XXX4009078F96121096ZE184226B<<<<<<",
        "V<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nL8988901C4XXX4009078F9612109<<<<<<<<",
    ],
)
def test_visas_of_both_sizes_as_published(zone: str) -> None:
    """ICAO 9303 part 7, appendices A and B."""
    visa = parse_mrz(zone, today=TODAY)
    assert (visa.kind, visa.issuer, visa.nationality, visa.verification) == ("visa", "UTO", "XXX", "check_digits")
    assert (visa.number, visa.birth_date, visa.expiry_date) == ("L8988901C", date(1940, 9, 7), date(1996, 12, 10))
    assert (visa.family_name, visa.given_name, visa.middle_names, visa.sex) == ("ERIKSSON", "ANNA", ("MARIA",), "F")


def test_kinds() -> None:
    for code, kind in (("P<", "passport"), ("PO", "passport"), ("V<", "visa")):
        assert parse_mrz(code + PASSPORT[2:], today=TODAY).kind == kind


@given(
    family=st.text(string.ascii_uppercase, min_size=1, max_size=12),
    given_names=st.lists(st.text(string.ascii_uppercase, min_size=1, max_size=8), min_size=1, max_size=3),
    number=st.text(string.ascii_uppercase + string.digits, min_size=1, max_size=9),
    birth=st.dates(date(1930, 1, 1), date(2020, 1, 1)),
    expiry=st.dates(date(2027, 1, 1), date(2040, 1, 1)),
    sex=st.sampled_from(["M", "F", "X"]),
)
def test_what_a_passport_says_is_what_is_read(
    family: str, given_names: list[str], number: str, birth: date, expiry: date, sex: str
) -> None:
    text = passport_mrz(family_name=family, given_names=" ".join(given_names), number=number, birth_date=birth, expiry_date=expiry, sex=sex)
    document = parse(text.encode(), today=TODAY)
    assert isinstance(document, IdDocument)
    assert document.verification == "check_digits"
    assert (document.family_name, document.given_name, list(document.middle_names)) == (family, given_names[0], given_names[1:])
    assert (document.number, document.birth_date, document.expiry_date, document.sex) == (number, birth, expiry, sex)


SPECIMEN = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"


@pytest.mark.parametrize(("at", "wrong"), [(42, "I"), (36, "8")])
def test_a_misread_personal_number_is_mended_where_both_digits_prove_it_and_else_proves_nothing(at: int, wrong: str) -> None:
    first, second = SPECIMEN.split("\n")
    document = parse_mrz(f"{first}\n{second[:at]}{wrong}{second[at + 1 :]}", today=TODAY)
    assert (document.number, document.birth_date) == ("L898902C3", date(1974, 8, 12))
    mended = document.warned("character_mended")
    assert document.verification == ("check_digits" if mended else "none")
    assert mended == (at == 42)


def test_a_letter_in_a_date_is_mended_even_where_it_counts_the_same() -> None:
    """G is 16: the check digit holds with it, and no date has letters."""
    visa = "V<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nL8988901C4XXX4009078F9612109<<<<<<<<"
    document = parse_mrz(visa.replace("961210", "9G1210"), today=TODAY)
    assert document.expiry_date == date(1996, 12, 10)
    assert document.warned("character_mended")
    assert document.verification == "check_digits"
