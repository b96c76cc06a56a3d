"""Cards that are not there: scripted answers, and whole applications with real keys and certificates."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.x509.oid import NameOID

from readers import tlv
from readers.cards import piv, piv_data, pkoc
from readers.cards.fascn import FascN
from readers.cards.trust import PivTrust
from readers.errors import CardRemovedError

__all__ = ["ScriptedConnection", "TestIssuer", "VirtualCard", "VirtualPiv", "VirtualPkoc", "VirtualUid"]

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_CAPABILITIES = bytes.fromhex("5FC107")
_SW_OK, _SW_NOT_FOUND, _SW_CLOSED, _SW_UNKNOWN = b"\x90\x00", b"\x6a\x82", b"\x69\x82", b"\x6d\x00"


class ScriptedConnection:
    """A CardConnection that answers as told: a list of (data, status word), an error to raise, or a function of the APDU."""

    def __init__(self, answers: Iterable[tuple[bytes, int] | Exception] | Callable[[bytes], tuple[bytes, int]]) -> None:
        self._answers = answers if callable(answers) else iter(list(answers))
        self.sent: list[bytes] = []

    def transmit(self, apdu: bytes) -> tuple[bytes, int]:
        self.sent.append(apdu)
        if callable(self._answers):
            return self._answers(apdu)
        answer = next(self._answers, None)
        if answer is None:
            raise CardRemovedError
        if isinstance(answer, Exception):
            raise answer
        return answer


class VirtualCard:
    """A card: an answer to reset, and responses to APDUs. ``connection()`` talks to it directly, ``VirtualSlot`` through pcscd.

    ``pull_after`` makes the card leave after that many APDUs, in the middle of the next.
    """

    atr = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")

    def __init__(self, *, pull_after: int | None = None) -> None:
        self._left = pull_after

    def reset(self) -> None:
        """Power was cut: forget what was selected."""

    def respond(self, apdu: bytes) -> bytes:
        """The response to one APDU, its status word at the end."""
        return _SW_UNKNOWN

    def process(self, apdu: bytes) -> bytes | None:
        """``respond``, or None when the card has just been pulled."""
        if self._left is not None:
            if self._left == 0:
                return None
            self._left -= 1
        return self.respond(apdu)

    def connection(self) -> ScriptedConnection:
        """A CardConnection straight to this card."""
        self.reset()

        def answer(apdu: bytes) -> tuple[bytes, int]:
            response = self.process(apdu)
            if response is None:
                raise CardRemovedError
            return response[:-2], int.from_bytes(response[-2:], "big")

        return ScriptedConnection(answer)


class VirtualUid(VirtualCard):
    """A plain contactless card with a serial number and nothing else."""

    def __init__(self, uid: bytes = bytes.fromhex("04A1B2C3D4E580"), *, pull_after: int | None = None) -> None:
        super().__init__(pull_after=pull_after)
        self.uid = uid

    def respond(self, apdu: bytes) -> bytes:
        if apdu[:4] == b"\xff\xca\x00\x00":
            return self.uid + _SW_OK
        return _SW_NOT_FOUND if apdu[1:2] == b"\xa4" else _SW_UNKNOWN


class VirtualPkoc(VirtualUid):
    """A PKOC card with a P-256 key (a new one unless given). ``signs_with`` another key makes it a forgery."""

    def __init__(
        self,
        key: ec.EllipticCurvePrivateKey | None = None,
        *,
        signs_with: ec.EllipticCurvePrivateKey | None = None,
        pull_after: int | None = None,
    ) -> None:
        super().__init__(secrets.token_bytes(4), pull_after=pull_after)
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self._signs_with = signs_with or self.key
        self._selected = False

    @property
    def public_key(self) -> bytes:
        """The uncompressed point: what a CardRead gives as its identifier, in hexadecimal."""
        return self.key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)

    def reset(self) -> None:
        self._selected = False

    def respond(self, apdu: bytes) -> bytes:
        if apdu[1] == 0xA4:
            self._selected = apdu[5 : 5 + apdu[4]] == pkoc.AID
            return tlv.encode(0x5C, b"\x01\x00") + _SW_OK if self._selected else _SW_NOT_FOUND
        if apdu[:4] == b"\x80\x80\x00\x01" and self._selected:
            transaction = tlv.find(apdu[5 : 5 + apdu[4]], 0x4C) or b""
            r, s = decode_dss_signature(self._signs_with.sign(transaction, ec.ECDSA(hashes.SHA256())))
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
            return tlv.encode(0x5A, self.public_key) + tlv.encode(0x9E, signature) + _SW_OK
        return super().respond(apdu)


class VirtualPiv(VirtualCard):
    """A PIV card made of its data objects and keys (SP 800-73-4): GET DATA, GENERAL AUTHENTICATE, VERIFY, chaining.

    ``objects`` maps a container's tag to its content; those in ``closed`` need the PIN first. ``keys`` maps a key reference
    (0x9E, 0x9A) to a private key; all but 9E need the PIN.
    """

    atr = bytes.fromhex("3B7D96000080318065B0831111AC83009000")

    def __init__(
        self,
        objects: dict[bytes, bytes],
        keys: dict[int, PrivateKey],
        *,
        pin: str = "123456",
        closed: frozenset[bytes] = frozenset({piv_data.FACE, piv_data.FINGERPRINTS, piv_data.PRINTED}),
        pull_after: int | None = None,
    ) -> None:
        super().__init__(pull_after=pull_after)
        self.objects, self.keys = dict(objects), dict(keys)
        self._pin, self._closed = pin, closed
        self.tries = 3
        self.reset()

    def reset(self) -> None:
        self._selected = self._open = False
        self._pending = b""
        self._chained = b""

    def respond(self, apdu: bytes) -> bytes:
        if len(apdu) < 4:
            return b"\x67\x00"
        cla, ins, p1, p2 = apdu[:4]
        data = apdu[5 : 5 + apdu[4]] if len(apdu) > 5 else b""
        if ins == 0xC0:
            return self._more(apdu[4] if len(apdu) > 4 else 0)
        if cla & 0x10:
            self._chained += data
            return _SW_OK
        data, self._chained = self._chained + data, b""
        if ins == 0xA4:
            return self._select(data)
        if not self._selected:
            return _SW_UNKNOWN if cla != 0xFF else b"\x6a\x81"
        if ins == 0xCB and (p1, p2) == (0x3F, 0xFF):
            return self._get(data)
        if ins == 0x87:
            return self._authenticate(p1, p2, data)
        if ins == 0x20:
            return self._verify(p2, data)
        return _SW_UNKNOWN

    def _select(self, aid: bytes) -> bytes:
        self._selected = len(aid) >= 5 and piv.AID.startswith(aid[: len(piv.AID)])
        if not self._selected:
            return _SW_NOT_FOUND
        template = tlv.encode(0x4F, piv.AID[5:]) + tlv.encode(0x79, tlv.encode(0x4F, piv.AID[:5]))
        return tlv.encode(0x61, template) + _SW_OK

    def _get(self, data: bytes) -> bytes:
        tag = tlv.find(data, 0x5C) or b""
        content = self.objects.get(tag)
        if content is None:
            return _SW_NOT_FOUND
        if tag in self._closed and not self._open:
            return _SW_CLOSED
        return self._answer(content if tag == b"\x7e" else tlv.encode(0x53, content))

    def _answer(self, data: bytes) -> bytes:
        self._pending = data
        return self._more()

    def _more(self, size: int = 0) -> bytes:
        size = size or 256
        part, self._pending = self._pending[:size], self._pending[size:]
        left = len(self._pending)
        return part + (bytes([0x61, left if left < 256 else 0]) if left else _SW_OK)

    def _verify(self, reference: int, data: bytes) -> bytes:
        if reference != 0x80:
            return b"\x6a\x88"
        if not data:
            return _SW_OK if self._open else bytes([0x63, 0xC0 | self.tries])
        if not self.tries:
            return b"\x69\x83"
        if data == self._pin.encode().ljust(8, b"\xff"):
            self.tries, self._open = 3, True
            return _SW_OK
        self.tries -= 1
        self._open = False
        return bytes([0x63, 0xC0 | self.tries]) if self.tries else b"\x69\x83"

    def _authenticate(self, algorithm: int, slot: int, data: bytes) -> bytes:
        key = self.keys.get(slot)
        if key is None:
            return b"\x6a\x88"
        if slot != 0x9E and not self._open:
            return _SW_CLOSED
        template = tlv.find(data, 0x7C) or b""
        challenge = tlv.find(template, 0x81)
        if challenge is None:
            return b"\x6a\x80"
        if isinstance(key, rsa.RSAPrivateKey):
            if len(challenge) != key.key_size // 8:
                return b"\x6a\x80"
            numbers = key.private_numbers()
            signature = pow(int.from_bytes(challenge, "big"), numbers.d, numbers.public_numbers.n).to_bytes(key.key_size // 8, "big")
        else:
            digest = hashes.SHA384() if len(challenge) == 48 else hashes.SHA256()
            if len(challenge) != digest.digest_size:
                return b"\x6a\x80"
            signature = key.sign(challenge, ec.ECDSA(Prehashed(digest)))
        return self._answer(tlv.encode(0x7C, tlv.encode(0x82, signature)))


class TestIssuer:
    """A certification authority with a content signer, that issues virtual PIV cards. Everything is P-256 and invented."""

    __test__ = False  # the name starts like a test class

    def __init__(self, name: str = "Sample District", *, now: datetime | None = None) -> None:
        self._now = now or datetime.now(UTC)
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self._signer_key = ec.generate_private_key(ec.SECP256R1())
        self.root = self._certificate(f"{name} Root", self._root_key, ca=True)
        self.content_signer = self._certificate(f"{name} Content Signer", self._signer_key, use="2.16.840.1.101.3.6.7")

    def trust(self, *, revoked: Iterable[VirtualPiv] = ()) -> PivTrust:
        """What makes this issuer's cards believed, and those in ``revoked`` refused."""
        serials = [piv_data.certificate(card.objects[piv_data.CARD_AUTH]).serial_number for card in revoked]
        return PivTrust(anchors=(self.root,), crls=(self.crl(serials),))

    def crl(self, serials: Iterable[int]) -> x509.CertificateRevocationList:
        """A revocation list in force for a week."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.root.subject)
            .last_update(self._now - timedelta(hours=1))
            .next_update(self._now + timedelta(days=7))
        )
        for serial in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(self._now - timedelta(minutes=30)).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self._root_key, hashes.SHA256())

    def piv(
        self,
        name: str = "Jordan Lee",
        *,
        agency: str = "9999",
        credential: str = "000001",
        expires: date | None = None,
        key: PrivateKey | None = None,
        pull_after: int | None = None,
    ) -> VirtualPiv:
        """A card for ``name`` whose signatures all hold. ``agency`` 9999 is a non-federal issuer: the card's UUID names it."""
        expires = expires or (self._now + timedelta(days=3 * 365)).date()
        number = FascN(agency, "0001", credential, "0", "1", "0000000000", "1", "0000", "1").encode()
        guid = uuid.uuid4().bytes
        card_key = key or ec.generate_private_key(ec.SECP256R1())
        holder_key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName(
            [
                x509.OtherName(x509.ObjectIdentifier("2.16.840.1.101.3.6.6"), tlv.encode(0x04, number)),
                x509.UniformResourceIdentifier(f"urn:uuid:{uuid.UUID(bytes=guid)}"),
            ]
        )
        card_auth = self._certificate(number.hex().upper(), card_key, use="2.16.840.1.101.3.6.8", names=names)
        piv_auth = self._certificate(name, holder_key, names=names)
        unsigned = (
            tlv.encode(0x30, number)
            + tlv.encode(0x34, guid)
            + tlv.encode(0x35, expires.strftime("%Y%m%d").encode())
            + tlv.encode(0x36, guid)
        )
        signature = self._sign(unsigned + b"\xfe\x00", "6086480165030601", embed=True, detached=True)
        chuid = unsigned + tlv.encode(0x3E, signature) + b"\xfe\x00"
        printed = tlv.encode(0x01, name.encode()) + tlv.encode(0x02, agency.encode()) + tlv.encode(0x05, credential.encode()) + b"\xfe\x00"
        objects = {
            piv_data.CHUID: chuid,
            piv_data.CARD_AUTH: _container(card_auth),
            piv_data.PIV_AUTH: _container(piv_auth),
            piv_data.PRINTED: printed,
            piv_data.SECURITY: self._security({0x3000: chuid, 0x3001: printed}),
            _CAPABILITIES: bytes.fromhex(f"F015A0000001160102{'00' * 14}F10121F20121F300F40100F50110F600F700FA00FB00FC00FD00FE00"),
            b"\x7e": tlv.encode(0x7E, tlv.encode(0x4F, piv.AID) + tlv.encode(0x5F2F, b"\x40\x00")),
        }
        return VirtualPiv(objects, {0x9E: card_key, 0x9A: holder_key}, pull_after=pull_after)

    def _security(self, containers: dict[int, bytes]) -> bytes:
        mapping = b"".join(bytes([index]) + identifier.to_bytes(2, "big") for index, identifier in enumerate(containers, 1))
        sha256 = tlv.encode(0x30, tlv.encode(0x06, bytes.fromhex("608648016503040201")))
        groups = b"".join(
            tlv.encode(0x30, tlv.encode(0x02, bytes([index])) + tlv.encode(0x04, hashlib.sha256(content).digest()))
            for index, content in enumerate(containers.values(), 1)
        )
        content = tlv.encode(0x30, tlv.encode(0x02, b"\x00") + sha256 + tlv.encode(0x30, groups))
        return tlv.encode(0xBA, mapping) + tlv.encode(0xBB, self._sign(content, "2b1b010101", embed=False, detached=False)) + b"\xfe\x00"

    def _sign(self, content: bytes, kind: str, *, embed: bool, detached: bool) -> bytes:
        """A CMS SignedData over ``content`` by the content signer (RFC 5652), enough of it for PIV."""
        oid = tlv.encode(0x06, bytes.fromhex(kind))
        sha256 = tlv.encode(0x30, tlv.encode(0x06, bytes.fromhex("608648016503040201")))
        ecdsa = tlv.encode(0x30, tlv.encode(0x06, bytes.fromhex("2a8648ce3d040302")))
        digest = hashlib.sha256(content).digest()
        attributes = _attribute("2a864886f70d010903", oid) + _attribute("2a864886f70d010904", tlv.encode(0x04, digest))
        signature = self._signer_key.sign(tlv.encode(0x31, attributes), ec.ECDSA(hashes.SHA256()))
        serial = self.content_signer.serial_number
        who = tlv.encode(
            0x30, self.content_signer.issuer.public_bytes() + tlv.encode(0x02, serial.to_bytes(serial.bit_length() // 8 + 1, "big"))
        )
        signer = tlv.encode(
            0x30, tlv.encode(0x02, b"\x01") + who + sha256 + tlv.encode(0xA0, attributes) + ecdsa + tlv.encode(0x04, signature)
        )
        inside = oid if detached else oid + tlv.encode(0xA0, tlv.encode(0x04, content))
        bag = tlv.encode(0xA0, self.content_signer.public_bytes(serialization.Encoding.DER)) if embed else b""
        body = tlv.encode(0x02, b"\x03") + tlv.encode(0x31, sha256) + tlv.encode(0x30, inside) + bag + tlv.encode(0x31, signer)
        return tlv.encode(0x30, tlv.encode(0x06, bytes.fromhex("2a864886f70d010702")) + tlv.encode(0xA0, tlv.encode(0x30, body)))

    def _certificate(
        self, name: str, key: PrivateKey, *, ca: bool = False, use: str | None = None, names: x509.SubjectAlternativeName | None = None
    ) -> x509.Certificate:
        organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Sample District")
        subject = x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if ca else self.root.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - timedelta(days=1))
            .not_valid_after(self._now + timedelta(days=3650 if ca else 1000))
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if use:
            builder = builder.add_extension(x509.ExtendedKeyUsage([x509.ObjectIdentifier(use)]), critical=True)
        if names:
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._root_key, hashes.SHA256())


def _attribute(oid: str, value: bytes) -> bytes:
    return tlv.encode(0x30, tlv.encode(0x06, bytes.fromhex(oid)) + tlv.encode(0x31, value))


def _container(certificate: x509.Certificate) -> bytes:
    return tlv.encode(0x70, certificate.public_bytes(serialization.Encoding.DER)) + b"\x71\x01\x00\xfe\x00"
