"""The 55 GSA ICAM test cards give the outcome their publisher's table says, through a virtual PIV card."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from readers import CardRejectedError, PivTrust, ReaderError, read_piv
from readers.cards import piv_data
from readers.cards.cms import read_signed
from readers.cards.piv_data import Chuid
from readers.testing import VirtualPiv

GEN3 = "ICAM_Test_Card_PIV_Signing_CA_-_gold_gen3"
GEN1 = "ICAM_Test_Card_PIV_Signing_CA_-_gold_gen1-2"
# Cards that were valid until 2019 are looked at while they were.
IN_FORCE = {"11_Certs_Expire_after_CHUID": datetime(2024, 1, 15, tzinfo=UTC)} | {name: datetime(2019, 1, 15, tzinfo=UTC) for name in (
    "39_Golden_FIPS_201-2_Fed_PIV-I-X", "47_Golden_FIPS_201-2_PIV_SAN_Order-X", "54_Golden_FIPS_201-2_NFI_PIV-I-X",
)}  # fmt: skip
REASONS = {
    "03": "key_identifier_mismatch", "04": "signature_invalid", "05": "signature_invalid", "06": "signature_invalid",
    "07": "signature_invalid", "08": "signature_invalid", "09": "certificate_expired", "10": "certificate_expired",
    "11": "certificate_outlives_card", "12": "certificate_not_yet_valid", "13": "certificate_expired", "14": "card_expired",
    "15": "identifier_mismatch", "16": "identifier_mismatch", "17": "identifier_mismatch", "18": "identifier_mismatch",
    "19": "identifier_mismatch", "20": "identifier_mismatch", "21": "identifier_mismatch", "22": "identifier_mismatch",
    "23": "key_mismatch", "24": "revoked", "38": "security_object_mismatch", "42": "ocsp_invalid", "43": "ocsp_invalid",
    "44": "ocsp_invalid", "45": "ocsp_invalid", "49": "biometric_expired", "50": "biometric_expires_early", "51": "biometric_expired",
    "52": "biometric_expires_early", "55": "security_object_missing", "56": "certificate_expired", "57": "revoked", "58": "revoked",
}  # fmt: skip
# Which responder answers for these cards, by the authority's own published signers.
RESPONDERS = {
    "42": "ICAM_Test_Card_PIV_OCSP_Expired_Signer_gen3",
    "43": "ICAM_Test_Card_PIV_OCSP_Revoked_Signer_No_Check_Present_gen3",
    "44": "ICAM_Test_Card_PIV_OCSP_Revoked_Signer_No_Check_Not_Present_gen3",
    "45": "ICAM_Test_Card_PIV_OCSP_Invalid_Sig_Signer_gen3",
}
GOOD_RESPONDER = "ICAM_Test_Card_PIV_OCSP_Valid_Signer_gen3"


def responder(gsa: Any, name: str, *, damage: bool = False) -> Callable[[str, bytes], bytes]:
    """An OCSP responder that says "good" of everything, signed by one of the published responder keys."""
    key, certificate = gsa.signer(name)
    _, issuer = gsa.signer(GEN3)

    def answer(url: str, request: bytes) -> bytes:
        asked = ocsp.load_der_ocsp_request(request)
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response_by_hash(
                asked.issuer_name_hash, asked.issuer_key_hash, asked.serial_number, asked.hash_algorithm,
                ocsp.OCSPCertStatus.GOOD, gsa.now - timedelta(hours=1), gsa.now + timedelta(days=1), None, None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, certificate)
            .certificates([certificate])
            .sign(key, hashes.SHA256())
        )
        der = bytearray(response.public_bytes(serialization.Encoding.DER))
        if damage:
            der[der.rindex(response.signature)] ^= 1
        assert issuer.subject
        return bytes(der)

    return answer


@functools.cache
def _trust(gsa: Any) -> PivTrust:
    """Anchors and revocation lists with what the table calls revoked."""
    card = gsa.card
    revoked_gen3 = [
        read_signed(Chuid.parse(card("57_Revoked_CHUID_Cert").objects[piv_data.CHUID]).signature).certificates[0],
        piv_data.certificate(card("58_Revoked_Card_Auth_Cert").objects[piv_data.CARD_AUTH]),
        gsa.signer(RESPONDERS["43"])[1],
        gsa.signer(RESPONDERS["44"])[1],
    ]
    revoked_gen1 = [piv_data.certificate(card("24_Revoked_Certificates").objects[tag]) for tag in (piv_data.CARD_AUTH, piv_data.PIV_AUTH)]
    trust: PivTrust = gsa.trust(crls=(gsa.crl(GEN3, revoked_gen3), gsa.crl(GEN1, revoked_gen1)))
    return trust


def trust_for(gsa: Any, name: str) -> PivTrust:
    """The same for every card; 42 to 45 also name the responder that their certificates point to."""
    if name[:2] in RESPONDERS:
        return dataclasses.replace(_trust(gsa), ocsp=responder(gsa, RESPONDERS[name[:2]]))
    return _trust(gsa)


def outcome(gsa: Any, name: str, pin: str | None) -> str:
    try:
        found = read_piv(gsa.card(name).connection(), trust=trust_for(gsa, name), now=IN_FORCE.get(name, gsa.now), pin=pin)
    except ReaderError as error:
        return error.code
    assert found is not None
    card, document = found
    assert card.authenticated
    assert document.verification == "chip"
    assert document.number == card.identifier
    return "valid"


def test_every_card_gives_the_tables_outcome(gsa: Any, rows: Callable[[str], list[dict[str, Any]]]) -> None:
    expected = {row["card"]: row["expected"]["valid"] for row in rows("piv/gsa_cards_index.jsonl")}
    assert set(expected) == set(gsa.names())
    assert len(expected) == 55
    wrong = {}
    for name, valid in expected.items():
        # The published folder of this card carries the fingerprints and photo of its neighbor ICI 8: read without the PIN.
        pin = None if name.endswith("ICI_9") else "123456"
        got = outcome(gsa, name, pin)
        want = "valid" if valid else REASONS[name[:2]]
        if got != want:
            wrong[name] = (got, want)
    assert wrong == {}


def test_without_the_pin_a_copied_card_is_still_refused(gsa: Any) -> None:
    for name in ("04_Tampered_CHUID", "13_Certs_are_expired", "16_Card_Authentication_FASCN_mismatch", "23_Public_Private_Key_mismatch"):
        assert outcome(gsa, name, None) == REASONS[name[:2]]


def test_a_chuid_alone_is_never_enough(gsa: Any) -> None:
    golden = gsa.card("46_Golden_FIPS_201-2_PIV")
    copy = VirtualPiv({tag: content for tag, content in golden.objects.items() if tag != piv_data.CARD_AUTH}, {})
    with pytest.raises(CardRejectedError) as refused:
        read_piv(copy.connection(), trust=trust_for(gsa, "46"), now=gsa.now)
    assert refused.value.code == "no_card_key"


def test_a_copied_card_without_the_key_is_refused(gsa: Any) -> None:
    golden, other = gsa.card("46_Golden_FIPS_201-2_PIV"), gsa.card("25_Disco_Object_Not_Present")
    with pytest.raises(CardRejectedError) as refused:
        read_piv(VirtualPiv(golden.objects, other.keys).connection(), trust=trust_for(gsa, "46"), now=gsa.now)
    assert refused.value.code == "key_mismatch"


def test_a_responder_that_is_in_order_is_believed(gsa: Any) -> None:
    trust = gsa.trust(ocsp=responder(gsa, GOOD_RESPONDER), require_revocation=False)
    assert read_piv(gsa.card("42_OCSP_Expired").connection(), trust=trust, now=gsa.now) is not None


def test_a_damaged_ocsp_signature_is_refused(gsa: Any) -> None:
    trust = gsa.trust(ocsp=responder(gsa, GOOD_RESPONDER, damage=True))
    with pytest.raises(CardRejectedError) as refused:
        read_piv(gsa.card("46_Golden_FIPS_201-2_PIV").connection(), trust=trust, now=gsa.now)
    assert refused.value.code == "ocsp_invalid"


def test_every_byte_of_the_chuid_is_covered_by_its_signature(gsa: Any) -> None:
    chuid = Chuid.parse(gsa.card("46_Golden_FIPS_201-2_PIV").objects[piv_data.CHUID])
    signed = read_signed(chuid.signature)
    content = chuid.signed[0]
    assert hashlib.sha256(content).digest() in signed.attributes[bytes.fromhex("2a864886f70d010904")]
    signer: x509.Certificate = signed.certificates[0]
    for at in range(len(content)):
        altered = bytearray(content)
        altered[at] ^= 1
        with pytest.raises(CardRejectedError):
            signed.verify(bytes(altered), signer)
