"""Damage: a byte lost, doubled or changed outside a field never changes that field in silence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readers import DocumentError, IdDocument, ReaderError, parse, parse_aamva, parse_mrz
from readers.recognize import MAX_SCAN_BYTES
from readers.testing import license_payload, passport_mrz

TODAY = date(2026, 11, 21)
ELEMENTS = {
    "family_name": "DCS|DAB|DAA", "given_name": "DAC|DCT|DAA", "middle_names": "DAD|DAC|DCT|DAA", "birth_date": "DBB", "number": "DAQ",
    "expiry_date": "DBA", "sex": "DBC", "street": "DAG|DAL", "street2": "DAH", "city": "DAI", "region": "DAJ", "postal_code": "DAK",
}  # fmt: skip
# Warnings about how the barcode was read; "expired" and the like say nothing about damage.
ABOUT_READING = {
    "offset_mended", "separators_lost", "line_joined", "element_missing", "element_malformed", "element_repeated", "issuer_mismatch",
    "issuer_unknown", "version_unknown", "date_unreadable", "name_order_guessed", "no_expiry", "name_cleaned", "date_order_guessed",
}  # fmt: skip


def facts(document: IdDocument) -> dict[str, object]:
    address = document.address
    assert address is not None
    return {name: getattr(address if hasattr(address, name) else document, name) for name in ELEMENTS}


def own_characters(payload: str) -> dict[str, set[int]]:
    """Where each field's own characters stand."""
    return {
        name: {at for match in re.finditer(f"(?:{ids})([^\n\r|]*)", payload) for at in range(match.start(1), match.end(1))}
        for name, ids in ELEMENTS.items()
    }


def damages(payload: str, at: int) -> Iterator[str]:
    """The payload with the character at ``at`` dropped, doubled, and changed in a few ways."""
    before, here, after = payload[:at], payload[at], payload[at + 1 :]
    yield before + after
    yield before + here + here + after
    for other in {"X", "7", "\n", chr(ord(here) ^ 1)} - {here}:
        yield before + other + after


def silent_changes(payload: str) -> list[str]:
    original = parse_aamva(payload, today=TODAY)
    expected, own, known = facts(original), own_characters(payload), set(original.warnings)
    found = []
    for at in range(len(payload)):
        for damaged in damages(payload, at):
            try:
                document = parse(damaged.encode(), today=TODAY)
            except ReaderError:
                continue
            if not isinstance(document, IdDocument):
                found.append(f"{at}: no longer a document")
                continue
            got = facts(document)
            changed = [name for name in expected if got[name] != expected[name] and at not in own[name]]
            warned = set(document.warnings) - known or any(warning.code in ABOUT_READING for warning in document.warnings)
            if changed and not warned:
                found.append(f"{at}: {changed}")
    return found


@pytest.mark.parametrize("issuer", ["TX", "ON"])
@pytest.mark.parametrize("version", [4, 10])
@pytest.mark.parametrize("more", [{}, {"middle_names": ("LEE",), "suffix": "JR", "street2": "APT 4"}])
def test_a_card_in_order_warns_of_any_damage_that_changes_another_field(issuer: str, version: int, more: dict[str, Any]) -> None:
    assert silent_changes(license_payload(issuer=issuer, version=version, **more).decode()) == []


def test_real_payloads_never_change_a_field_in_silence(rows: Callable[[str], list[dict[str, Any]]]) -> None:
    found = {}
    for row in rows("aamva/payloads.jsonl")[::8]:
        if row["file_type"] != "magstripe" and "error" not in (row["expected"] or {}) and (silent := silent_changes(row["payload"])):
            found[row["name"]] = silent
    assert found == {}


STRIPES = (
    "%TXAUSTIN^DOE$JOHN$QUINCY^12345 MAIN STREET^?;63601512345678=280819850812=?%0178701      C               1510180BROBRO                    ?",
    "%FLDELRAY BEACH^DOE$JOHN$Q^4818 S FEDERAL BLVD^           \\?;6360100462172082009=2803198799080=?#! 33435      I               1600"
    "                                   ECCECC00000?",
    "%BCVICTORIA^SPECIMEN,$JOHN SAMUEL^910 GOVERNMENT ST$VICTORIA BC  V8W 3Y5^?;6360281234567=280819850812=?_%0AV8W3Y5                     M179"
    " 80BRNBLU9123456789                E$''C(R2S5             ?",
)
_STRIPE = re.compile(r"%(?P<state>..)(?P<city>[^^]*)\^(?P<name>[^^]*)\^(?P<street>[^^]*)\^.*;\d{6}(?P<number>\d+)=(?P<expiry>\d{4})(?P<birth>\d{8})(?P<over>\d*)")


@pytest.mark.parametrize("stripe", STRIPES, ids=["TX", "FL", "BC"])
def test_a_damaged_stripe_never_changes_another_field_in_silence(stripe: str) -> None:
    """A character at a field's edge that is doubled is one more character of the field: nothing could tell it from its own."""
    parts = _STRIPE.match(stripe)
    assert parts is not None
    own = {part: range(max(0, parts.start(part) - 1), parts.end(part) + 1) for part in ("city", "name", "street", "number", "expiry", "birth", "over")}
    places: dict[str, list[str]] = {
        "family_name": ["name"], "given_name": ["name"], "middle_names": ["name"], "city": ["city"], "street": ["street"],
        "number": ["number", "over"], "expiry_date": ["expiry"],
        "birth_date": ["birth", "expiry"],  # Florida leaves the month of birth to the expiry
    }  # fmt: skip
    original = parse_aamva(stripe, today=TODAY)
    expected, known = facts(original), set(original.warnings)
    silent = []
    for at in range(len(stripe)):
        for damaged in damages(stripe, at):
            try:
                document = parse(damaged.encode(), today=TODAY)
            except ReaderError:
                continue
            assert isinstance(document, IdDocument)
            got = facts(document)
            changed = [name for name, parts_of in places.items() if got[name] != expected[name] and not any(at in own[part] for part in parts_of)]
            if changed and set(document.warnings) <= known:
                silent.append((at, stripe[at], damaged[at : at + 1], changed))
    assert silent == []


def value(character: str) -> int:
    return 0 if character == "<" else int(character, 36)


def test_a_passport_line_with_one_wrong_character_warns_or_refuses() -> None:
    lines = passport_mrz(family_name="SAMPLE", given_names="JORDAN LEE", personal_number="AB12")
    original = parse_mrz(lines, today=TODAY)
    assert original.verification == "check_digits"
    start = lines.index("\n") + 1
    for at in range(start, len(lines)):
        if lines[at : at + 1] in "\n" or 10 <= at - start < 13 or at - start == 20:
            continue  # nationality and sex have no check digit
        for other in "0123456789ABCXYZ<":
            if other == lines[at] or (value(other) - value(lines[at])) % 10 == 0:
                continue  # "3" and "X" count the same: no check digit can tell them apart
            try:
                document = parse_mrz(lines[:at] + other + lines[at + 1 :], today=TODAY)
            except DocumentError:
                continue
            assert document.warnings, (at - start, lines[at], other)


@given(st.binary(max_size=600))
@settings(max_examples=300, deadline=None)
def test_garbage_is_read_or_refused_and_nothing_else(data: bytes) -> None:
    try:
        parse(data, today=TODAY)
    except DocumentError as error:
        assert error.code
        assert error.message


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_cut_and_shuffled_payload_is_read_or_refused(data: st.DataObject) -> None:
    payload = license_payload(issuer=data.draw(st.sampled_from(["TX", "ON", "PA"])))
    pieces = data.draw(st.lists(st.tuples(st.integers(0, len(payload)), st.integers(0, 40)), max_size=8))
    mixed = b"".join(payload[start : start + size] for start, size in pieces)
    for scan in (payload[: data.draw(st.integers(0, len(payload)))], payload[:31] + mixed, mixed + payload):
        try:
            parse(scan, today=TODAY)
        except DocumentError as error:
            assert error.message.endswith(".")


@pytest.mark.parametrize("size", [20_000, 10_000_000])
@pytest.mark.parametrize("start", [b"@\n\x1e\rANSI 636015100001DL00310200DL", b"P<USA", b"%TXA^", b"VB1:", b"1", b"\xff"])
def test_a_scan_beyond_any_symbol_is_refused_by_its_length(start: bytes, size: int) -> None:
    with pytest.raises(DocumentError) as refused:
        parse(start + b"D" * size, today=TODAY)
    assert refused.value.code == "too_long"


def test_a_payload_made_to_be_cut_in_many_ways_ends() -> None:
    """Lost separators and element names everywhere: the search has a bound."""
    hostile = b"@ANSI 636010010101DL00390190DL" + b"DAADAGDAHDAIDAQ" * 900
    with pytest.raises(DocumentError):
        parse(hostile, today=TODAY)


@pytest.mark.parametrize("body", [b"DAQ1\n" + b"\\123" * 4000 + b"x", b"DAQ1\nDAG" + b" " * 16_000 + b"\x01\n", b"D" * 16_000, b"DAA" * 5_000])
def test_a_long_run_of_one_thing_is_refused(body: bytes) -> None:
    with pytest.raises(DocumentError):
        parse((b"@\n\x1e\rANSI 636015100001DL00310217DL" + body)[:MAX_SCAN_BYTES], today=TODAY)


def test_no_error_and_no_repr_shows_a_persons_data() -> None:
    payload = license_payload(family_name="SECRETNAME", number="S3CR3T", street="1 HIDDEN WAY")
    document = parse(payload, today=TODAY)
    assert isinstance(document, IdDocument)
    shown = repr(document) + repr(document.address) + repr(document.warnings)
    for damaged in (payload.replace(b"DBB", b"DXX"), payload[:40], payload.replace(b"ANSI", b"ANZI")):
        try:
            parse(damaged, today=TODAY)
        except DocumentError as error:
            shown += str(error) + repr(error)
    for secret in ("SECRETNAME", "S3CR3T", "HIDDEN", "1985"):
        assert secret not in shown
