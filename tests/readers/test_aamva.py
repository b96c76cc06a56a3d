"""AAMVA barcodes and stripes: what other suites expect of real payloads, and each quirk of real cards on a card of our own."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

import msgspec
import pytest

from readers import DocumentError, IdDocument, parse, parse_aamva
from readers.aamva_data import ISSUERS
from readers.aamva_elements import split_payload
from readers.testing import license_payload

TODAY = date(2026, 11, 21)
SEXES = {"Male": "M", "Female": "F", "NotSpecified": "X"}


def plain(text: str | None) -> str:
    return re.sub(r"[^A-Z0-9]", "", (text or "").upper())


def differences(row: dict[str, Any], document: IdDocument) -> list[str]:
    """Where ``document`` is not what the payload's own suite expects, each in that suite's words."""
    expected, address = row["expected"], document.address
    assert address is not None
    middle = " ".join(document.middle_names)
    given = " ".join(filter(None, (document.given_name, middle)))
    pairs: list[tuple[str, object, object]] = []
    if "Name" in expected:
        name, place = expected["Name"], expected["Address"]
        pairs = [
            ("family_name", name.get("Last"), document.family_name), ("given_name", name.get("First"), document.given_name),
            ("middle_names", name.get("Middle") or "", middle), ("suffix", name.get("Suffix"), document.suffix),
            ("birth_date", expected["DateOfBirth"], str(document.birth_date)), ("number", expected["IdNumber"], document.number),
            ("expiry_date", expected["ExpirationDate"], str(document.expiry_date)),
            ("issue_date", expected.get("IssueDate", str(document.issue_date)), str(document.issue_date)),
            ("sex", SEXES[expected["Sex"].split(".")[1]], document.sex), ("street", place["StreetLine1"], address.street),
            ("street2", place.get("StreetLine2"), address.street2), ("city", place["City"], address.city),
            ("region", place["JurisdictionCode"], address.region), ("postal_code", place["PostalCode"], address.postal_code),
        ]  # fmt: skip
        for flag, part in (("First", "given_name"), ("Last", "family_name"), ("Middle", "middle_names")):
            if f"Was{flag}Truncated" in name:
                pairs.append((part, name[f"Was{flag}Truncated"], part in document.truncated))
        if "Height" in expected:
            feet, *inches = map(int, re.findall(r"\d+", expected["Height"]))
            metric = "Metric" in expected["Height"]
            centimetres = feet if metric else round((feet * 12 + inches[0] if inches else feet) * 2.54)
            pairs.append(("height_cm", centimetres, document.height_cm))
        if "EyeColor" in expected:
            pairs.append(("eye_color", expected["EyeColor"].split(".")[1].lower(), document.eye_color))
        shown = expected.get("_extra_asserts", {}).get("Address.PostalCodeDisplay)")
        if shown:
            pairs.append(("postal_code_display", shown, address.postal_code_display))
    elif "elements" in expected:
        elements = expected["elements"]
        pairs = [
            ("family_name", elements["DCS"], document.family_name), ("given_name", elements["DAC"], document.given_name),
            ("middle_names", elements["DAD"], middle), ("number", elements["DAQ"], document.number),
            ("birth_date", elements["DBB"], f"{document.birth_date:%m%d%Y}"),
            ("expiry_date", elements["DBA"], f"{document.expiry_date:%m%d%Y}"),
            ("street", elements["DAG"], address.street), ("city", elements["DAI"], address.city),
            ("region", elements["DAJ"], address.region),
        ]  # fmt: skip
    else:
        # Other suites' words: some keep every given name in one, some leave out dashes, some cut the postal code.
        values: dict[str, tuple[object, object]] = {}
        for keys, value in (
            (("state",), document.issuer), (("city",), address.city), (("address",), address.street),
            (("name.last", "lastName", "parseLastName"), document.family_name), (("parseFirstName",), document.given_name),
            (("birthday",), f"{document.birth_date:%Y%m%d}" if document.birth_date else None),
            (("expiration_date",), f"{document.expiry_date:%Y%m%d}" if document.expiry_date else None),
            (("middleNames",), list(document.middle_names)),
        ):  # fmt: skip
            values.update({key: (expected[key], value) for key in keys if key in expected})
        pairs = [(key, wanted, got) for key, (wanted, got) in values.items()]
        for key in ("id", "idNumber"):
            if key in expected:
                pairs.append((key, plain(expected[key]), plain(document.number)))
        for key in ("name.first", "firstName"):
            if key in expected:
                wanted = plain(expected[key])
                pairs.append((key, wanted, plain(document.given_name) if wanted == plain(document.given_name) else plain(given)))
        if "sex" in expected:
            pairs.append(("sex", expected["sex"][0], document.sex))
        if "postal_code" in expected:
            pairs.append(("postal_code", expected["postal_code"], (address.postal_code or "")[:5]))
    return [f"{field}: wanted {wanted!r}, got {got!r}" for field, wanted, got in pairs if wanted != got]


def test_real_payloads_give_what_their_own_suites_expect(rows: Callable[[str], list[dict[str, Any]]]) -> None:
    wrong: dict[str, list[str]] = {}
    read = 0
    for row in rows("aamva/payloads.jsonl"):
        payload, expected = row["payload"].encode(), row["expected"]
        if expected and "error" in expected:
            with pytest.raises(DocumentError):
                parse_aamva(payload, today=TODAY)
            continue
        document = parse(payload, today=TODAY)
        assert isinstance(document, IdDocument)
        read += 1
        if expected and (found := differences(row, document)):
            wrong[row["name"]] = found
    assert wrong == {}
    assert read == 99


def card(body: str, *, header: str = "@\n\x1e\rANSI 636005080001DL00310200", end: str = "\r") -> IdDocument:
    """A card of our own around a body; offsets are not what these tests are about."""
    return parse_aamva(f"{header}DL{body}{end}", today=TODAY)


BODY = (
    "DAQ1234\nDCSSAMPLE\nDDEN\nDACJORDAN\nDDFN\nDADLEE\nDDGN\nDBA04122031\nDBB04121985\nDBD06012023\nDBC2\n"
    "DAU067 IN\nDAYBRO\nDAG1 A ST\nDAIOXFORD\nDAJSC\nDAK290010000  \nDCFX1\nDCGUSA"
)
ONE = "DAQ1234\nDAA{}\nDBA20310412\nDBB19850412\nDBC2\nDAG1 A ST\nDAIOXFORD\nDAJ{}\nDAK29001"


def names(document: IdDocument) -> tuple[str | None, str | None, str, str | None]:
    return document.family_name, document.given_name, " ".join(document.middle_names), document.suffix


@pytest.mark.parametrize(
    "prefix",
    [
        "@\n\x1e\r", "@\n\x1e\n", "@\n\n", "@\n", "@", "", "@\n\x1c\r", " @\n\x1e\r",
        "@\r\n\r\n", "@\n\r", "@\n6", "@\n6M", "@\n\xdcM", "@a\n", "@ac",
    ],
)  # fmt: skip
def test_whatever_a_scanner_makes_of_the_first_characters(prefix: str) -> None:
    document = card(BODY, header=f"{prefix}ANSI 636005080001DL00310200")
    assert names(document) == ("SAMPLE", "JORDAN", "LEE", None)
    assert document.birth_date == date(1985, 4, 12)
    assert document.issuer == "SC"


@pytest.mark.parametrize("kind", ["ANSI ", "ANSI", "AAMVA", "AAMVA ", "AMVA "])
def test_every_file_type_seen(kind: str) -> None:
    assert card(BODY, header=f"@\n\x1e\r{kind}636005080001DL00310200").number == "1234"


@pytest.mark.parametrize("header", ["@\n\x1e\rANSI 636005080000", "@\n\x1e\rANSI 6360050800", "@\n\x1e\rANSI 636005080001DLabac"])
def test_designators_missing_or_blank(header: str) -> None:
    assert names(card(BODY, header=header)) == ("SAMPLE", "JORDAN", "LEE", None)


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\r", "\n\r", "\x90\n\x90", "\n  "])
def test_every_separator_seen(separator: str) -> None:
    document = card(BODY.replace("\n", separator))
    assert names(document) == ("SAMPLE", "JORDAN", "LEE", None)
    assert document.address is not None
    assert document.address.postal_code == "29001"


def test_a_card_in_order_and_one_read_line_by_line_give_the_same(rows: Callable[[str], list[dict[str, Any]]]) -> None:
    """A blank before the second line keeps the one pattern for cards in order from matching; it belongs to no value."""
    payloads = [license_payload(issuer=issuer, version=version).decode() for issuer in ("TX", "ON") for version in range(4, 12)]
    payloads += [row["payload"] for row in rows("aamva/payloads.jsonl") if row["file_type"] != "magstripe"]
    in_order = by_line = 0
    for payload in payloads:
        try:
            document = parse_aamva(payload, today=TODAY)
        except DocumentError:
            continue
        in_order += split_payload(payload).in_order
        indented = re.sub(r"([\n\r])(D[A-D][A-Z])", r"\1 \2", payload, count=1)
        warnings = tuple(warning for warning in document.warnings if warning.code != "offset_mended")
        other = parse_aamva(indented, today=TODAY)
        assert msgspec.structs.replace(other, warnings=()) == msgspec.structs.replace(document, warnings=())
        assert tuple(warning for warning in other.warnings if warning.code != "offset_mended") == warnings
        by_line += not split_payload(indented).in_order
    assert in_order > 60
    assert by_line > 60


def test_a_wedge_that_types_with_caps_lock_on_gives_the_same() -> None:
    payload = license_payload(middle_names=("LEE",))
    assert parse(payload.swapcase(), today=TODAY) == parse(payload, today=TODAY)
    token = b"VB1:" + b"6BF+70 T*" * 12
    assert parse(token.swapcase()) == parse(token)


def test_pipes_for_separators() -> None:
    document = parse_aamva("@|\x1e|ANSI 636005080001DL00310200DL" + BODY.replace("\n", "|") + "|", today=TODAY)
    assert names(document) == ("SAMPLE", "JORDAN", "LEE", None)


def test_pipes_for_separators_behind_an_ordinary_header_and_noise_before_it() -> None:
    text = "\ufeffnoise\n@\n\x1e\rANSI 636005080001DL00310200|DL" + BODY.replace("\n", " ||\x1e") + "|\x04"
    assert names(parse_aamva(text, today=TODAY)) == ("SAMPLE", "JORDAN", "LEE", None)


@pytest.mark.parametrize("between", ["", "M"])
def test_a_jurisdictions_subfile_without_its_separator_is_no_part_of_the_field_before(between: str) -> None:
    body = BODY.replace("DCFX1\nDCGUSA", f"DCFX1\nDCGUSA\nDAU600{between}ZSZSAREPLACED\nZSB")
    document = card(body.replace("DAU067 IN\n", ""), header="@\n\x1e\nANSI 636005080002DL00310200ZS02310020", end="")
    assert document.height_cm == 183
    assert not document.warned("element_malformed")


def test_a_specimen_of_another_suite_without_any_separator() -> None:
    text = (
        "@ANSI 636014080102DL00410288ZA03290015DLDAQD12345678DCSPUBLICDDENDACJOHNDDFNDADQUINCYDDGNDCADDCBNONEDCDNONEDBD08242015"
        "DBB01311970DBA01312035DBC1DAU069 inDAYGRNDAG789 E OAK STDAIANYTOWNDAJCADAK902230000DCF83D9BN217QO983B1DCGUSADAW180DAZBRO"
        "DCK12345678900000000000DDB02142014DDK1ZAZAANZABZAC"
    )
    document = parse_aamva(text, today=TODAY)
    assert names(document) == ("PUBLIC", "JOHN", "QUINCY", None)
    assert (document.number, document.birth_date, document.expiry_date) == ("D12345678", date(1970, 1, 31), date(2035, 1, 31))


@pytest.mark.parametrize("separator", ["", " "])
def test_every_separator_lost(separator: str) -> None:
    document = card(BODY.replace("\n", separator), end="")
    assert names(document) == ("SAMPLE", "JORDAN", "LEE", None)
    assert (document.birth_date, document.expiry_date, document.number) == (date(1985, 4, 12), date(2031, 4, 12), "1234")
    assert document.warned("separators_lost")


@pytest.mark.parametrize("family", ["MADACO", "DADDARIO", "LADDER", "SIDDALL", "DDEN"])
def test_a_name_that_holds_an_element_name_survives_lost_separators_or_is_refused(family: str) -> None:
    body = BODY.replace("SAMPLE", family)
    assert card(body).family_name == family
    try:
        document = card(body.replace("\n", ""), end="")
    except DocumentError:
        return
    assert document.family_name == family or document.warned("element_missing") or document.warned("separators_lost")
    assert document.birth_date == date(1985, 4, 12)


@pytest.mark.parametrize(
    ("family", "given", "street", "city"),
    [
        ("BRADAC", "JORDAN", "12 CEDAR DRIVE APT D", "SAN DIEGO"), ("MADDOX", "CANDACE", "9 DAIRY LANE", "DAYTON"),
        ("DADDARIO", "DACIA", "100 DAKOTA AVENUE", "CEDAR RAPIDS"),
    ],
)  # fmt: skip
def test_where_a_blank_stands_for_each_separator_words_are_not_cut(family: str, given: str, street: str, city: str) -> None:
    body = BODY.replace("SAMPLE", family).replace("JORDAN", given).replace("1 A ST", street).replace("OXFORD", city)
    document = card(body.replace("\n", " "), end="")
    assert names(document) == (family, given, "LEE", None)
    assert document.address is not None
    assert (document.address.street, document.address.city) == (street, city)
    assert document.warned("separators_lost")


def test_a_street_is_no_bare_number_where_separators_are_lost() -> None:
    document = card(BODY.replace("1 A ST", "9 DAIRY LANE").replace("\n", ""), end="")
    assert document.address is not None
    assert (document.address.street, document.address.city) == ("9 DAIRY LANE", "OXFORD")


@pytest.mark.parametrize(
    ("value", "issuer", "expected"),
    [
        ("PUBLIC,JOHN,QUINCY,JR", "CT", ("PUBLIC", "JOHN", "QUINCY", "JR")),
        ("PUBLIC,JOHN,,JR", "CT", ("PUBLIC", "JOHN", "", "JR")),
        ("PUBLIC,JOHN, ,", "MO", ("PUBLIC", "JOHN", "", None)),
        ("PUBLIC,JOHN, QUINCY", "FL", ("PUBLIC", "JOHN", "QUINCY", None)),
        ("PUBLIC, JOHN QUINCY", "OR", ("PUBLIC", "JOHN", "QUINCY", None)),
        ("PUBLIC,JOHN QUINCY ADAMS", "LA", ("PUBLIC", "JOHN", "QUINCY ADAMS", None)),
        ("JOHN Q PUBLIC", "PA", ("PUBLIC", "JOHN", "Q", None)),
        ("JOHN PUBLIC JR", "PA", ("PUBLIC", "JOHN", "", "JR")),
        ("JOHN,Q,PUBLIC", "CO", ("PUBLIC", "JOHN", "Q", None)),
        ("AL-PUBLIC,MARY ANN,ROSE", "DC", ("AL-PUBLIC", "MARY ANN", "ROSE", None)),
        ("PUBLIC@JOHN@QUINCY", "NY", ("PUBLIC", "JOHN", "QUINCY", None)),
    ],
)  # fmt: skip
def test_one_name_field_in_every_order_seen(value: str, issuer: str, expected: tuple[str, str, str, str | None]) -> None:
    iin = next(number for number, letters in ISSUERS.items() if letters == issuer)
    document = card(ONE.format(value, issuer), header=f"@\n\x1e\rANSI {iin}0101DL00290200")
    assert names(document) == expected
    assert document.birth_date == date(1985, 4, 12)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("DCTMARY ROSE", ("SAMPLE", "MARY", "ROSE", None)),
        ("DCTMARY,ANN", ("SAMPLE", "MARY", "ANN", None)),
        ("DCTMARY", ("SAMPLE", "MARY", "", None)),
        ("DCTMARY ANN\nDACMARY\nDADANN", ("SAMPLE", "MARY", "ANN", None)),
        ("DACMARY\nDADNONE", ("SAMPLE", "MARY", "", None)),
        ("DACMARY\nDADunavl\nDCUNONE", ("SAMPLE", "MARY", "", None)),
        ("DACMARY\nDADANN ROSE\nDCUPH.D.", ("SAMPLE", "MARY", "ANN ROSE", "PH.D.")),
    ],
)
def test_given_names_of_every_version(given: str, expected: tuple[str, str, str, str | None]) -> None:
    assert names(card(BODY.replace("DACJORDAN\nDDFN\nDADLEE", given))) == expected


@pytest.mark.parametrize("trailing", ["SAMPLE,   ", "SAMPLE    ", "SAMPLE"])
def test_padding_and_stray_commas_are_no_part_of_a_name(trailing: str) -> None:
    assert card(BODY.replace("SAMPLE", trailing)).family_name == "SAMPLE"


@pytest.mark.parametrize(
    ("written", "read"),
    [("04121985", date(1985, 4, 12)), ("19850412", date(1985, 4, 12)), ("25121985", date(1985, 12, 25)), ("1985-04-12", date(1985, 4, 12))],
)
def test_three_date_orders_by_plausibility(written: str, read: date) -> None:
    assert card(BODY.replace("DBB04121985", f"DBB{written}")).birth_date == read


def test_a_day_first_date_says_so_and_decides_for_the_ambiguous_ones() -> None:
    document = card(BODY.replace("DBB04121985", "DBB25121985").replace("DBA04122031", "DBA01022031"))
    assert document.expiry_date == date(2031, 2, 1)
    assert document.warned("date_order_guessed")


@pytest.mark.parametrize("value", ["NONE", "", "00000000", "99999999", "12319999", "99991231"])
def test_a_document_without_expiry_says_so(value: str) -> None:
    document = card(BODY.replace("DBA04122031", f"DBA{value}"))
    assert document.expiry_date is None
    assert document.warned("no_expiry")


@pytest.mark.parametrize("value", ["MMDDCCYY", "13451985", "0412198", "ABCDEFGH"])
def test_a_birth_date_that_is_none_is_not_invented(value: str) -> None:
    document = card(BODY.replace("DBB04121985", f"DBB{value}"))
    assert document.birth_date is None
    assert document.warned("date_unreadable")


@pytest.mark.parametrize(
    ("written", "centimetres"),
    [
        ("068 in", 173), (" 65 IN", 165), ("71 in ", 180), ("600", 183), ("505", 165),
        ("5'-04\"", 163), ("170 CM", 170), ("11 in", None), ("", None),
    ],
)  # fmt: skip
def test_heights_as_cards_write_them(written: str, centimetres: int | None) -> None:
    assert card(BODY.replace("DAU067 IN", f"DAU{written}")).height_cm == centimetres


@pytest.mark.parametrize(("code", "sex"), [("1", "M"), ("2", "F"), ("9", "X"), ("M", "M"), ("F", "F"), ("X", "X")])
def test_sexes(code: str, sex: str) -> None:
    assert card(BODY.replace("DBC2", f"DBC{code}")).sex == sex


def test_names_as_long_as_their_field_count_as_truncated() -> None:
    long = "A" * 40
    document = card(BODY.replace("SAMPLE", long).replace("DADLEE\nDDGN", "DADLEE\nDDGT"))
    assert document.truncated == ("family_name", "middle_names")


def test_a_blank_turned_into_a_line_feed_joins_again_and_says_so() -> None:
    document = card(BODY.replace("DAU067 IN", "DAU067\nIN").replace("DADLEE", "DADVON\nTWO"))
    assert document.middle_names == ("VON", "TWO")
    assert document.height_cm == 170
    assert document.warned("line_joined")


def test_macro_residue_after_the_last_element_is_left_out() -> None:
    document = card(BODY + "\r\\928\\111\\100\\200", end="")
    assert document.issuer == "SC"
    assert not document.warned("line_joined")


def test_california_signature_is_named_as_unverified() -> None:
    document = card(BODY + "\rZCZCAY\nZCE" + "2csd" * 40)
    assert document.warned("signature_not_verified")


@pytest.mark.parametrize(("subfile", "kind"), [("DL", "driver_license"), ("ID", "id_card"), ("EN", "enhanced_license")])
def test_kinds_of_card(subfile: str, kind: str) -> None:
    document = parse(license_payload(kind=subfile), today=TODAY)
    assert isinstance(document, IdDocument)
    assert document.kind == kind


def test_a_card_in_order_has_no_warning_at_all() -> None:
    for issuer in ("TX", "NY", "ON", "PR"):
        for version in range(4, 12):
            document = parse(license_payload(issuer=issuer, version=version, middle_names=("LEE",), suffix="JR"), today=TODAY)
            assert isinstance(document, IdDocument)
            assert document.warnings == ()
            assert document.issuer == issuer
            assert document.country == ("CAN" if issuer == "ON" else "USA")


def test_expired_and_under_age_are_said() -> None:
    document = parse(license_payload(birth_date=date(2010, 1, 1), expiry_date=date(2026, 1, 1)), today=TODAY)
    assert isinstance(document, IdDocument)
    assert [warning.code for warning in document.warnings] == ["expired", "under_age"]


@pytest.mark.parametrize(
    ("stripe", "number", "birth", "expiry"),
    [
        ("%FLMIAMI^DOE$JOHN$Q^1 A ST^?;6360100412345678901=2802198502129=?", "D123456789019", date(1985, 2, 12), date(2028, 2, 29)),
        ("%TXAUSTIN^DOE$JOHN^1 A ST^?;63601512345678=287719850212?", "12345678", date(1985, 2, 12), None),
        ("%TXAUSTIN^DOE$JOHN^1 A ST^?;63601512345678=288819850212?", "12345678", date(1985, 2, 12), date(2028, 2, 29)),
        ("%TXAUSTIN^DOE$JOHN^1 A ST^?;63601512345678=289919850212?", "12345678", date(1985, 2, 12), date(2028, 2, 12)),
    ],
)
def test_the_magnetic_stripe_and_its_special_months(stripe: str, number: str, birth: date, expiry: date | None) -> None:
    document = parse(stripe.encode(), today=TODAY)
    assert isinstance(document, IdDocument)
    assert (document.number, document.birth_date, document.expiry_date) == (number, birth, expiry)
    assert (document.family_name, document.given_name) == ("DOE", "JOHN")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"@\n\x1e\rANSI 636005080001DL00310200DL\r", "no_fields"),
        (b"@\n\x1e\rANSI 636005080001DL00310200DLDAQ1\nDCSX\nDACY\r", "birth_date_missing"),
        (b"@\n\x1e\rANSI 636005080001DL00310200DLDAQ1\nDBB01011980\r", "name_missing"),
        (b"hello", "not_aamva"),
        (b"A" * 20_000, "too_long"),
    ],
)
def test_refusals_say_why(data: bytes, code: str) -> None:
    with pytest.raises(DocumentError) as refused:
        parse_aamva(data, today=TODAY)
    assert refused.value.code == code
    assert refused.value.message.endswith(".")
