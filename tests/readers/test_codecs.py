"""The pure codecs: TLV, APDU, FASC-N, Wiegand, PKOC responses; published vectors, round trips, hostile input."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from readers import (
    ApduError,
    CardError,
    CardRejectedError,
    ConfigError,
    PivTrust,
    ReaderError,
    decode_wiegand,
    encode_wiegand,
    read_card,
    read_piv,
    read_pkoc,
    tlv,
)
from readers import apdu as apdu_codec
from readers.cards.cms import read_signed
from readers.cards.fascn import FascN
from readers.cards.piv_data import Cbeff, Chuid, load_certificate
from readers.cards.pkoc import verify_response
from readers.testing import ScriptedConnection, TestIssuer, VirtualPkoc, VirtualUid

DIGITS = "0123456789"


# TLV


@given(st.sampled_from([0x30, 0x53, 0x5F2F, 0x7C, 0x5FC102]), st.binary(max_size=700), st.binary(max_size=20))
def test_what_is_encoded_is_found_again(tag: int, value: bytes, other: bytes) -> None:
    data = tlv.encode(0x81, other) + tlv.encode(tag, value)
    assert tlv.find(data, tag) == value
    assert tlv.find(data, 0x81) == other


@given(st.binary(max_size=300))
@settings(max_examples=400)
def test_any_bytes_are_objects_or_a_card_error(data: bytes) -> None:
    for read in (tlv.parse, read_signed, Chuid.parse, Cbeff.parse):
        with contextlib.suppress(CardError):
            read(data)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_a_certificate_with_any_byte_changed_is_a_certificate_or_damaged(tmp_path: Path) -> None:
    """Among them a version that there is none of, for which cryptography has an exception outside every family."""
    der = TestIssuer().root.public_bytes(serialization.Encoding.DER)
    versions = 0
    for at in range(len(der)):
        for other in {der[at] ^ 1, 0x60, 0xFF} - {der[at]}:
            damaged = der[:at] + bytes([other]) + der[at + 1 :]
            with contextlib.suppress(CardError):
                load_certificate(damaged)
            try:
                x509.load_der_x509_certificate(damaged)
            except x509.InvalidVersion:
                versions += 1
                (tmp_path / "root.der").write_bytes(damaged)
                with pytest.raises(ConfigError, match="cannot be read as a certificate"):
                    PivTrust.load([tmp_path / "root.der"])
            except ValueError:
                continue
    assert versions


@pytest.mark.parametrize(
    "hostile",
    ["53", "5383", "5380", "5384FFFFFFFF00", "53847FFFFFFF", "5383FFFFFF", "1F", "1FFFFFFF", "5FC1", "53820100", "538500000000FF"],
)  # fmt: skip
def test_hostile_lengths_are_refused_before_anything_is_read(hostile: str) -> None:
    with pytest.raises(CardError) as refused:
        tlv.parse(bytes.fromhex(hostile))
    assert refused.value.code == "bad_tlv"


# APDU


def test_a_long_command_is_chained_and_a_long_response_collected() -> None:
    connection = ScriptedConnection([(b"", 0x9000), (b"", 0x9000), (b"A" * 256, 0x6110), (b"B" * 16, 0x9000)])
    assert apdu_codec.send(connection, "test", 0x00, 0x87, 0x11, 0x9E, bytes(600)) == b"A" * 256 + b"B" * 16
    assert [sent[0] for sent in connection.sent] == [0x10, 0x10, 0x00, 0x00]
    assert [len(sent) for sent in connection.sent] == [260, 260, 96, 5]


def test_a_wrong_length_is_asked_for_again_as_the_card_says() -> None:
    connection = ScriptedConnection([(b"", 0x6C05), (b"12345", 0x9000)])
    assert apdu_codec.send(connection, "test", 0x00, 0xCB, 0x3F, 0xFF, b"\x5c\x01\x7e") == b"12345"
    assert connection.sent[1][-1] == 5


def test_a_card_that_never_ends_is_stopped() -> None:
    for answer in ((b"x" * 256, 0x6100), (b"", 0x6100), (b"", 0x6C01)):
        with pytest.raises(CardError) as refused:
            apdu_codec.send(ScriptedConnection(lambda _, answer=answer: answer), "test", 0, 0xCB, 0x3F, 0xFF)  # type: ignore[misc]
        assert refused.value.code == "endless_response"


def test_a_refusal_names_the_status_word() -> None:
    with pytest.raises(ApduError) as refused:
        apdu_codec.send(ScriptedConnection([(b"", 0x6982)]), "prove its key", 0, 0x87, 0x11, 0x9E)
    assert refused.value.sw == 0x6982
    assert "6982" in refused.value.message


@given(st.lists(st.tuples(st.binary(max_size=80), st.integers(0, 0xFFFF)), max_size=12))
@settings(max_examples=300)
def test_any_answers_end_in_a_card_or_a_reader_error(answers: list[tuple[bytes, int]]) -> None:
    issuer = _issuer()
    for read in (
        lambda c: read_card(c, trust=issuer.trust()),
        lambda c: read_piv(c, trust=issuer.trust(), pin="123456"),
        lambda c: read_pkoc(c),
    ):
        try:
            result = read(ScriptedConnection(answers))
        except ReaderError:
            continue
        assert result is None or not isinstance(result, tuple) or result[0].format == "uid"


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_card_with_one_damaged_answer_never_gives_another_identity(data: st.DataObject) -> None:
    """Flip, cut or grow one response of a good card: refused, or exactly the same card."""
    card = _card()
    spoiled, at = data.draw(st.integers(0, 14)), data.draw(st.integers(0, 2000))
    how = data.draw(st.sampled_from(["flip", "cut", "grow", "status"]))
    straight, count = card.connection(), 0

    def answer(apdu: bytes) -> tuple[bytes, int]:
        nonlocal count
        body, sw = straight.transmit(apdu)
        count += 1
        if count - 1 == spoiled:
            if how == "flip" and body:
                place = at % len(body)
                body = body[:place] + bytes([body[place] ^ (1 << at % 8)]) + body[place + 1 :]
            elif how == "cut":
                body = body[: at % (len(body) + 1)]
            elif how == "grow":
                body += bytes(at % 50)
            else:
                sw = at
        return body, sw

    try:
        found = read_piv(ScriptedConnection(answer), trust=_issuer().trust())
    except ReaderError:
        return
    if found is not None:
        expected = read_piv(card.connection(), trust=_issuer().trust())
        assert expected is not None
        assert found[0].identifier == expected[0].identifier


_MADE: dict[str, Any] = {}


def _issuer() -> TestIssuer:
    return _MADE.setdefault("issuer", TestIssuer())  # type: ignore[no-any-return]


def _card() -> Any:
    return _MADE.setdefault("card", _issuer().piv("Jordan Lee"))


# FASC-N


def test_published_fascns(rows: Callable[[str], list[dict[str, Any]]]) -> None:
    for row in rows("piv/piv_vectors.jsonl"):
        if row["kind"] == "fascn_encode":
            fields = [
                f"{row['fields'][name]:0{width}d}"
                for name, width in (
                    ("agency_code", 4), ("system_code", 4), ("credential_number", 6), ("credential_series", 1),
                    ("individual_credential_issue", 1), ("person_identifier", 10), ("organizational_category", 1),
                    ("organizational_identifier", 4), ("organization_association_category", 1),
                )
            ]  # fmt: skip
            assert FascN(*fields).encode().hex().upper() == row["hex"]
            assert FascN.decode(bytes.fromhex(row["hex"])) == FascN(*fields)
        elif row["kind"] == "fascn_decode":
            if not row["fields"]["odd_parity_ok"]:
                with pytest.raises(CardError):
                    FascN.decode(bytes.fromhex(row["hex"]))
            else:
                found = FascN.decode(bytes.fromhex(row["hex"]))
                for key in ("agency", "system", "credential", "person"):
                    assert getattr(found, key) == row["fields"][key]
                assert found.organization == row["fields"]["org_id"]
        elif row["kind"] == "chuid":
            chuid = Chuid.parse(bytes.fromhex(row["hex"]))
            assert (chuid.guid.hex(), chuid.expires.strftime("%Y%m%d")) == (row["fields"]["guid"], row["fields"]["expiration"])


@given(st.tuples(*(st.text(DIGITS, min_size=width, max_size=width) for width in (4, 4, 6, 1, 1, 10, 1, 4, 1))))
def test_a_fascn_survives_its_coding_and_no_single_bit_error(fields: tuple[str, ...]) -> None:
    number = FascN(*fields)
    data = number.encode()
    assert FascN.decode(data) == number
    for bit in (0, 7, 63, 100, 199):
        damaged = (int.from_bytes(data, "big") ^ 1 << bit).to_bytes(25, "big")
        with pytest.raises(CardError):
            FascN.decode(damaged)


# Wiegand


def test_published_and_derived_frames(rows: Callable[[str], list[dict[str, Any]]]) -> None:
    seen = 0
    for row in rows("piv/wiegand_vectors.jsonl"):
        if row["kind"] not in ("published", "derived"):
            continue
        seen += 1
        bits = encode_wiegand(row["format"], row["cn"], row["fc"])
        if "bin" in row:
            assert bits == row["bin"]
        if "hid_raw" in row:
            # Proximity readers put a preamble and a sentinel before the frame itself.
            assert f"{int(row['hid_raw'], 16):b}".endswith(bits)
        card = decode_wiegand(bits, prefer=(row["format"],))
        assert (card.format, card.number, card.facility, card.authenticated) == (row["format"], row["cn"], row["fc"], False)
    assert seen >= 20


@given(st.sampled_from([("H10301", 8, 16), ("H10304", 16, 19), ("H10306", 16, 16), ("C1k35s", 12, 20), ("C1k48s", 22, 23)]), st.data())
def test_every_format_survives_its_coding(layout: tuple[str, int, int], data: st.DataObject) -> None:
    name, facility_bits, number_bits = layout
    facility, number = data.draw(st.integers(0, 2**facility_bits - 1)), data.draw(st.integers(0, 2**number_bits - 1))
    bits = encode_wiegand(name, number, facility)  # type: ignore[arg-type]
    card = decode_wiegand(bits, prefer=(name,))  # type: ignore[arg-type]
    assert (card.format, card.facility, card.number) == (name, facility, number)
    for at in range(len(bits)):
        damaged = bits[:at] + ("1" if bits[at] == "0" else "0") + bits[at + 1 :]
        assert decode_wiegand(damaged, prefer=(name,)).format == "raw"  # type: ignore[arg-type]


@given(st.text("01", min_size=1, max_size=512))
def test_unknown_lengths_stay_raw_and_whole(bits: str) -> None:
    card = decode_wiegand(bits)
    assert card.bits == bits
    if card.format == "raw":
        size, _, value = card.identifier.partition(":")
        assert f"{int(value, 16):0{len(value) * 4}b}"[: int(size)] == bits


@pytest.mark.parametrize("bits", ["", "012", "1" * 513, "0b1"])
def test_what_is_no_frame_is_refused(bits: str) -> None:
    with pytest.raises(CardError):
        decode_wiegand(bits)


@pytest.mark.parametrize(("name", "number", "facility"), [("H10301", 70_000, 1), ("H10301", 1, 300), ("H10302", 1, 1), ("X", 1, 1)])
def test_a_number_that_does_not_fit_is_refused(name: Any, number: int, facility: int) -> None:
    with pytest.raises(CardError):
        encode_wiegand(name, number, facility)


# PKOC


def test_published_pkoc_exchange(rows: Callable[[str], list[dict[str, Any]]]) -> None:
    vectors = {row["kind"]: row for row in rows("piv/pkoc_vectors.jsonl")}
    sent = tlv.parse(bytes.fromhex(vectors["nfc_authenticate_command"]["hex"])[5:-1])
    transaction = next(item.value for item in sent if item.tag == 0x4C)
    response = bytes.fromhex(vectors["nfc_authenticate_response"]["hex"])[:-2]
    assert verify_response(response, transaction) == bytes.fromhex(vectors["spki_der"]["hex"])[-65:]
    with pytest.raises(CardRejectedError):
        verify_response(response, bytes(16))
    with pytest.raises(CardError):
        verify_response(bytes.fromhex(vectors["nfc_authenticate_response_with_cert"]["hex"])[:-2], transaction)


def test_our_command_is_built_as_the_published_one(rows: Callable[[str], list[dict[str, Any]]]) -> None:
    vectors = {row["kind"]: row for row in rows("piv/pkoc_vectors.jsonl")}
    selected = bytes.fromhex(vectors["nfc_select"]["response_hex"])
    connection = ScriptedConnection([(selected[:-2], 0x9000), (b"", 0x6F00)])
    with pytest.raises(ApduError):
        read_pkoc(connection)
    assert connection.sent[0].hex().upper() == vectors["nfc_select"]["hex"]
    published = bytes.fromhex(vectors["nfc_authenticate_command"]["hex"])
    assert connection.sent[1][:9] == published[:9]
    assert [item.tag for item in tlv.parse(connection.sent[1][5:-1])] == [item.tag for item in tlv.parse(published[5:-1])]


def test_a_pkoc_card_signs_afresh_and_a_forgery_is_refused() -> None:
    card = VirtualPkoc()
    first, second = card.connection(), card.connection()
    assert read_pkoc(first) == read_pkoc(second)
    assert first.sent[1] != second.sent[1]
    with pytest.raises(CardRejectedError) as refused:
        read_card(VirtualPkoc(card.key, signs_with=VirtualPkoc().key).connection())
    assert refused.value.code == "signature_invalid"


def test_a_plain_card_is_read_and_marked_unauthenticated() -> None:
    card, document = read_card(VirtualUid(bytes.fromhex("04A1B2C3D4E580")).connection(), reader="desk")
    assert (card.format, card.identifier, card.authenticated, document) == ("uid", "04A1B2C3D4E580", False, None)


def test_without_anchors_a_piv_card_is_read_but_not_believed() -> None:
    found = read_card(TestIssuer().piv("Jordan Lee").connection())
    card, document = found
    assert document is not None
    assert (card.authenticated, document.verification) == (False, "none")
    assert document.warned("chip_not_verified")


def test_a_wrong_pin_is_tried_once_and_the_tries_left_are_said() -> None:
    issuer = TestIssuer()
    card = issuer.piv("Jordan Lee")
    with pytest.raises(CardRejectedError) as refused:
        read_piv(card.connection(), trust=issuer.trust(), pin="000000")
    assert refused.value.code == "pin_wrong"
    assert "2 tries" in refused.value.message
    assert card.tries == 2


def test_vectors_are_there(rows: Callable[[str], list[dict[str, Any]]]) -> None:
    assert len(json.dumps(rows("piv/pkoc_vectors.jsonl"))) > 1000
