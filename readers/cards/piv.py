"""PIV, CAC and PIV-I cards (FIPS 201-3, SP 800-73-4): who holds this card, proved by the card itself.

What is checked, in order: the card signs a fresh challenge with its card authentication key (9E, "PKI-CAK"); that key's
certificate leads to a trust anchor, is in force, meant for this, not revoked; the CHUID's signature, its signer's path, its
expiry; every identifier on the card names the same card; the security object's signature and hashes. The CHUID alone,
which anyone can copy, is never enough. With the holder's PIN the PIV authentication key, the photo and the fingerprint
records are checked as well: without it, a photo copied from another card cannot be noticed.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from readers import apdu, tlv
from readers.document import DocumentWarning, IdDocument
from readers.errors import CardError, CardRejectedError

from . import piv_data
from .cms import Signed, read_signed
from .fascn import FascN
from .piv_data import Cbeff, Chuid
from .read import CardConnection, CardRead
from .trust import PivTrust, key_identifier_matches

__all__ = ["AID", "PivTrust", "read_piv"]

AID = bytes.fromhex("A000000308000010000100")
_SLOT_CARD_AUTH, _SLOT_PIV_AUTH = 0x9E, 0x9A
_CARD_AUTH_USE = frozenset({"2.16.840.1.101.3.6.8"})
# id-PIV-content-signing, and the same for PIV-I issuers.
_CONTENT_SIGNING = frozenset({"2.16.840.1.101.3.6.7", "2.16.840.1.101.3.8.7"})


def read_piv(
    connection: CardConnection,
    *,
    reader: str = "",
    trust: PivTrust | None = None,
    now: datetime | None = None,
    pin: str | None = None,
) -> tuple[CardRead, IdDocument] | None:
    """Read and verify a PIV card; None when the card has no PIV application.

    Without ``trust`` the challenge is still made, but nothing says whose card it is: ``authenticated`` is false, the
    document's verification ``none`` with the warning ``chip_not_verified``. ``pin`` (6 to 8 digits) allows what only the
    holder may open; a wrong one is tried once and never again.

    Raises CardRejectedError (see ``_refuse`` and PivTrust.check), CardError, ApduError, CardRemovedError, ReaderLostError.
    """
    if apdu.select(connection, AID) is None:
        return None
    now = now or datetime.now(UTC)
    session = _Session(connection)
    chuid_data = session.required(piv_data.CHUID)
    chuid = Chuid.parse(chuid_data)
    key_object = session.optional(piv_data.CARD_AUTH)
    if key_object is None:
        raise _refuse("no_card_key")
    card_auth = piv_data.certificate(key_object)
    session.prove(_SLOT_CARD_AUTH, card_auth)
    piv_auth_object = session.optional(piv_data.PIV_AUTH)
    piv_auth = None if piv_auth_object is None else piv_data.certificate(piv_auth_object)

    photo: bytes | None = None
    name: str | None = None
    if trust is not None:
        signer, signed = _check_chuid(chuid, trust, now)
        trust.check(card_auth, now, uses=_CARD_AUTH_USE)
        _check_identity(chuid, card_auth)
        if piv_auth is not None:
            trust.check(piv_auth, now)
            _check_identity(chuid, piv_auth)
            if piv_auth.not_valid_after_utc.date() > chuid.expires:
                raise _refuse("certificate_outlives_card")
        objects = {piv_data.CHUID: chuid_data}
        if pin is not None:
            session.verify_pin(pin)
            if piv_auth is not None:
                session.prove(_SLOT_PIV_AUTH, piv_auth)
            for container in (piv_data.FACE, piv_data.FINGERPRINTS, piv_data.PRINTED):
                data = session.optional(container)
                if data is not None:
                    objects[container] = data
            for container in (piv_data.FACE, piv_data.FINGERPRINTS):
                if container in objects:
                    record = _check_biometric(objects[container], chuid, signer, trust, now)
                    photo = record.picture if container == piv_data.FACE else photo
            if piv_data.PRINTED in objects:
                name = piv_data.printed_name(objects[piv_data.PRINTED])
        security = session.optional(piv_data.SECURITY)
        if security is None:
            raise _refuse("security_object_missing")
        _check_security(security, objects, signer, signed)

    number = _number(chuid)
    family, given, middle = _holder(name, piv_auth)
    warnings = [] if trust is not None else [DocumentWarning("chip_not_verified")]
    if chuid.expires < now.date():
        warnings.append(DocumentWarning("expired"))
    document = IdDocument(
        kind="piv", issuer=_agency(card_auth), country="USA", number=number, family_name=family, given_name=given, middle_names=middle,
        expiry_date=chuid.expires, photo=photo, verification="chip" if trust is not None else "none", warnings=tuple(warnings),
    )  # fmt: skip
    card = CardRead(reader=reader, format="piv", identifier=number, authenticated=trust is not None)
    return card, document


class _Session:
    """The three commands we need: GET DATA, GENERAL AUTHENTICATE, VERIFY (SP 800-73-4 part 2)."""

    def __init__(self, connection: CardConnection) -> None:
        self._connection = connection

    def optional(self, container: bytes) -> bytes | None:
        """A container's content; None when it is absent, empty, or closed to us."""
        response, sw = apdu.exchange(self._connection, 0x00, 0xCB, 0x3F, 0xFF, tlv.encode(0x5C, container))
        if sw in (0x6A82, 0x6A88, 0x6982):
            return None
        if sw != apdu.SW_OK:
            raise CardError("status_word", f"The card refused to give its data (status {sw:04X}). Try it again, or use another card.")
        return tlv.find(response, 0x53) or None

    def required(self, container: bytes) -> bytes:
        data = self.optional(container)
        if data is None:
            raise _refuse("no_chuid")
        return data

    def prove(self, slot: int, certificate: x509.Certificate) -> None:
        """Challenge and response with the key of ``slot``. Raises CardRejectedError ``key_mismatch``, CardError."""
        key = certificate.public_key()
        message = secrets.token_bytes(32)
        if isinstance(key, rsa.RSAPublicKey):
            algorithm = {2048: 0x07, 3072: 0x05}.get(key.key_size)
            challenge = _pkcs1(message, key.key_size // 8)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            algorithm = {"secp256r1": 0x11, "secp384r1": 0x14}.get(key.curve.name)
            challenge = hashlib.sha384(message).digest() if key.curve.name == "secp384r1" else hashlib.sha256(message).digest()
        else:
            algorithm, challenge = None, b""
        if algorithm is None:
            raise CardError("unsupported_key", "The card uses a kind of key this program does not know. Use another card.")
        request = tlv.encode(0x7C, tlv.encode(0x82, b"") + tlv.encode(0x81, challenge))
        response = apdu.send(self._connection, "prove its key", 0x00, 0x87, algorithm, slot, request)
        template = tlv.find(response, 0x7C)
        signature = tlv.find(template, 0x82) if template is not None else None
        if signature is None:
            raise CardError("bad_response", "The card sent damaged data. Present it again, or use another card.")
        try:
            if isinstance(key, rsa.RSAPublicKey):
                key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
            else:
                assert isinstance(key, ec.EllipticCurvePublicKey)
                key.verify(signature, message, ec.ECDSA(hashes.SHA384() if algorithm == 0x14 else hashes.SHA256()))
        except (InvalidSignature, ValueError):
            raise _refuse("key_mismatch") from None

    def verify_pin(self, pin: str) -> None:
        """Raises CardRejectedError ``pin_wrong`` (with the tries left) or ``pin_blocked``; ConfigError never."""
        if not (pin.isascii() and pin.isdigit() and 6 <= len(pin) <= 8):
            raise CardRejectedError("pin_wrong", "The PIN has six to eight digits. Enter it again.")
        _, sw = apdu.exchange(self._connection, 0x00, 0x20, 0x00, 0x80, pin.encode("ascii").ljust(8, b"\xff"), le=None)
        if sw == apdu.SW_OK:
            return
        if sw >> 4 == 0x63C and sw & 0x0F:
            raise CardRejectedError("pin_wrong", f"The PIN is wrong; {sw & 0x0F} tries are left. Enter it again.")
        raise CardRejectedError("pin_blocked", "The card's PIN is blocked. Use another card.")


def _pkcs1(message: bytes, size: int) -> bytes:
    """The block a card signs without padding it itself (RFC 8017 clause 9.2; SP 800-73-4 part 2, appendix A.4)."""
    digest_info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(message).digest()
    return b"\x00\x01" + b"\xff" * (size - 3 - len(digest_info)) + b"\x00" + digest_info


def _check_chuid(chuid: Chuid, trust: PivTrust, now: datetime) -> tuple[x509.Certificate, Signed]:
    """The CHUID's signer and signature (SP 800-73-4 part 1, clause 3.1.2). The signer's certificate is inside the signature."""
    if not chuid.signature:
        raise _refuse("chuid_unsigned")
    signed = read_signed(chuid.signature)
    if not signed.certificates:
        raise _refuse("chuid_unsigned")
    signer = signed.certificates[0]
    first, second = chuid.signed
    try:
        signed.verify(first, signer)
    except CardRejectedError:
        signed.verify(second, signer)
    trust.check(signer, now, uses=_CONTENT_SIGNING)
    if chuid.expires < now.date():
        raise _refuse("card_expired")
    return signer, signed


def _check_identity(chuid: Chuid, certificate: x509.Certificate) -> None:
    """Certificate and CHUID name the same card, and the certificate's key is the one it says."""
    fascn, uuid = piv_data.card_identifiers(certificate)
    if fascn is None and uuid is None:
        raise _refuse("identifier_mismatch")
    if fascn is not None and fascn != chuid.fascn_bytes:
        raise _refuse("identifier_mismatch")
    if uuid is not None and any(chuid.guid) and uuid != chuid.guid:
        raise _refuse("identifier_mismatch")
    if not key_identifier_matches(certificate):
        raise _refuse("key_identifier_mismatch")


def _check_biometric(data: bytes, chuid: Chuid, signer: x509.Certificate, trust: PivTrust, now: datetime) -> Cbeff:
    record = Cbeff.parse(data)
    signed = read_signed(record.signature)
    own = signed.certificates[0] if signed.certificates else signer
    if own != signer:
        trust.check(own, now, uses=_CONTENT_SIGNING)
    signed.verify(record.signed, own)
    # The rest of a FASC-N describes the holder's employment, and issuers fill it differently in the same card's objects.
    if not (_same_card(signed.fascn, chuid) and _same_card(record.fascn_bytes, chuid)):
        raise _refuse("identifier_mismatch")
    if signed.uuid and any(chuid.guid) and signed.uuid != chuid.guid:
        raise _refuse("identifier_mismatch")
    if not record.not_before <= now <= record.not_after:
        raise _refuse("biometric_expired")
    if record.not_after.date() < chuid.expires:
        raise _refuse("biometric_expires_early")
    return record


def _same_card(fascn: bytes | None, chuid: Chuid) -> bool:
    try:
        return fascn is not None and FascN.decode(fascn).text == chuid.fascn.text
    except CardError:
        return False


def _check_security(data: bytes, objects: dict[bytes, bytes], signer: x509.Certificate, chuid_signed: Signed) -> None:
    """The security object: signed by the CHUID's signer, with a hash of each container (SP 800-73-4 part 1, clause 3.1.7)."""
    mapping, cms = tlv.find(data, 0xBA), tlv.find(data, 0xBB)
    if mapping is None or cms is None or len(mapping) % 3:
        raise _refuse("security_object_missing")
    signed = read_signed(cms)
    if signed.content is None:
        raise _refuse("security_object_missing")
    own = signed.certificates[0] if signed.certificates else signer
    if own != signer:
        raise _refuse("security_object_mismatch")
    signed.verify(signed.content, own)
    fields = tlv.parse(tlv.read_one(signed.content).value)
    algorithm = {"0201": "sha256", "0202": "sha384", "0203": "sha512"}.get(tlv.parse(fields[1].value)[0].value.hex()[-4:])
    if algorithm is None:
        raise _refuse("security_object_mismatch")
    stated: dict[int, bytes] = {}
    for group in tlv.parse(fields[2].value):
        index, digest = tlv.parse(group.value)[:2]
        stated[int.from_bytes(index.value, "big")] = digest.value
    for at in range(0, len(mapping), 3):
        container = piv_data.CONTAINERS.get(int.from_bytes(mapping[at + 1 : at + 3], "big"))
        content = objects.get(container) if container else None
        if content is not None and stated.get(mapping[at]) != hashlib.new(algorithm, content).digest():
            raise _refuse("security_object_mismatch")


def _number(chuid: Chuid) -> str:
    """The FASC-N's unique part for federal cards, the card UUID for everyone else (agency 9999)."""
    fascn = chuid.fascn
    if fascn.agency == "9999" and any(chuid.guid):
        return str(UUID(bytes=chuid.guid))
    return fascn.text


def _agency(certificate: x509.Certificate) -> str:
    for oid in (NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME):
        names = certificate.subject.get_attributes_for_oid(oid)
        if names:
            return str(names[-1].value)
    return "PIV"


def _holder(printed: str | None, piv_auth: x509.Certificate | None) -> tuple[str | None, str | None, tuple[str, ...]]:
    """The holder's name: as printed ("Lee, Jordan M" or "Jordan M Lee"), else the certificate's common name ("LEE.JORDAN.M.1234567890")."""
    text = printed
    if text is None and piv_auth is not None:
        names = piv_auth.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        text = str(names[0].value) if names else None
    if not text:
        return None, None, ()
    text = text.split("(")[0].strip()  # "(affiliate)" follows contractors' names
    if text.count(".") >= 2 and " " not in text:
        words = [word for word in text.split(".") if not word.isdigit()]
        return words[0], (words[1] if len(words) > 1 else None), tuple(words[2:])
    if "," in text:
        family, _, rest = text.partition(",")
        words = rest.split()
        return family.strip(), (words[0] if words else None), tuple(words[1:])
    words = text.split()
    if len(words) == 1:
        return words[0], None, ()
    return words[-1], words[0], tuple(words[1:-1])


_REASONS = {
    "no_card_key": "The card cannot prove that it is no copy. Ask for another document.",
    "no_chuid": "The card holds no identifier. Ask for another document.",
    "chuid_unsigned": "The card's identifier is not signed. Ask for another document.",
    "card_expired": "The card has expired. Ask for another document.",
    "key_mismatch": "The card could not prove its key. It may be a copy: ask for another document.",
    "key_identifier_mismatch": "A certificate on the card was made for another key. Ask for another document.",
    "identifier_mismatch": "Parts of the card belong to another card. Ask for another document.",
    "certificate_outlives_card": "A certificate on the card runs longer than the card. Ask for another document.",
    "security_object_missing": "The card's seal over its contents is missing. Ask for another document.",
    "security_object_mismatch": "The card's contents do not match the seal over them. Ask for another document.",
    "biometric_expired": "A photo or fingerprint record on the card has expired. Ask for another document.",
    "biometric_expires_early": "A photo or fingerprint record on the card expires before the card. Ask for another document.",
}


def _refuse(code: str) -> CardRejectedError:
    return CardRejectedError(code, _REASONS[code])
