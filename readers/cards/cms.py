"""CMS SignedData (RFC 5652) as PIV uses it: one signer, signed attributes, content inside or beside it."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from readers import tlv
from readers.errors import CardError, CardRejectedError

from .piv_data import load_certificate

__all__ = ["Signed", "read_signed"]

_SEQUENCE, _SET, _OID, _OCTETS = 0x30, 0x31, 0x06, 0x04
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010904")
_FASCN = bytes.fromhex("6086480165030606")
_UUID = bytes.fromhex("2b060101" "1004")
_PSS = bytes.fromhex("2a864886f70d01010a")
_HASHES: dict[bytes, hashes.HashAlgorithm] = {
    bytes.fromhex("608648016503040201"): hashes.SHA256(),
    bytes.fromhex("608648016503040202"): hashes.SHA384(),
    bytes.fromhex("608648016503040203"): hashes.SHA512(),
}


@dataclass(frozen=True)
class Signed:
    """One SignedData, taken apart but not yet verified."""

    content: bytes | None
    certificates: tuple[x509.Certificate, ...]
    algorithm: hashes.HashAlgorithm
    attributes: dict[bytes, bytes]
    signed_bytes: bytes
    signature: bytes
    pss: bool

    @property
    def fascn(self) -> bytes | None:
        """The FASC-N attribute (id-PIV-FASC-N), which binds a biometric to its card."""
        return self._octets(_FASCN)

    @property
    def uuid(self) -> bytes | None:
        """The card UUID attribute (entryUUID)."""
        return self._octets(_UUID)

    def _octets(self, oid: bytes) -> bytes | None:
        value = self.attributes.get(oid)
        return None if value is None else tlv.find(value, _OCTETS)

    def verify(self, content: bytes, signer: x509.Certificate) -> None:
        """Check digest and signature over ``content``. Raises CardRejectedError ``signature_invalid``."""
        stated = self._octets(_MESSAGE_DIGEST)
        digest = hashlib.new(self.algorithm.name, content).digest()
        if stated is None or not hmac.compare_digest(stated, digest):
            raise _invalid()
        key = signer.public_key()
        try:
            if isinstance(key, rsa.RSAPublicKey):
                scheme = padding.PSS(padding.MGF1(self.algorithm), padding.PSS.AUTO) if self.pss else padding.PKCS1v15()
                key.verify(self.signature, self.signed_bytes, scheme, self.algorithm)
            elif isinstance(key, ec.EllipticCurvePublicKey):
                key.verify(self.signature, self.signed_bytes, ec.ECDSA(self.algorithm))
            else:
                raise _invalid()
        except (InvalidSignature, ValueError):
            raise _invalid() from None


def read_signed(data: bytes) -> Signed:
    """Take a ContentInfo with SignedData apart. Raises CardError ``bad_signature_object`` when it is none."""
    try:
        return _read(data)
    except (IndexError, ValueError, StopIteration) as error:
        raise _damaged() from error


def _read(data: bytes) -> Signed:
    outer = tlv.parse(tlv.read_one(data).value)
    if outer[0].tag != _OID or outer[0].value != _SIGNED_DATA:
        raise _damaged()
    fields = tlv.parse(tlv.parse(outer[1].value)[0].value)
    encapsulated = tlv.parse(fields[2].value)
    content = None
    if len(encapsulated) > 1:
        content = tlv.read_one(encapsulated[1].value).value
    certificates: tuple[x509.Certificate, ...] = ()
    for item in fields[3:-1]:
        if item.tag == 0xA0:
            bag = item.value
            certificates = tuple(
                load_certificate(bag[part.start : part.end]) for part in tlv.parse(bag) if part.tag == _SEQUENCE
            )
    signers = tlv.parse(fields[-1].value)
    if fields[-1].tag != _SET or len(signers) != 1:
        raise _damaged()
    parts = tlv.parse(signers[0].value)
    algorithm = _HASHES.get(tlv.parse(parts[2].value)[0].value)
    if algorithm is None or parts[3].tag != 0xA0:
        raise _damaged()
    attributes: dict[bytes, bytes] = {}
    for attribute in tlv.parse(parts[3].value):
        oid, values = tlv.parse(attribute.value)[:2]
        attributes[oid.value] = values.value
    # The signature covers the attributes as a SET, not under the tag they are carried in (RFC 5652 clause 5.4).
    signed_bytes = tlv.encode(_SET, parts[3].value)
    pss = tlv.parse(parts[4].value)[0].value == _PSS
    return Signed(content, certificates, algorithm, attributes, signed_bytes, parts[5].value, pss)


def _invalid() -> CardRejectedError:
    return CardRejectedError("signature_invalid", "Data on the card was altered after its issuer signed it. Ask for another document.")


def _damaged() -> CardError:
    return CardError("bad_signature_object", "The card sent damaged data. Present it again, or use another card.")
