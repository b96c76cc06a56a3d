"""PKOC, Public Key Open Credential (PSIA, NFC profile 1.0): the card's public key is its identity.

The reader sends a fresh 16-byte transaction id, the card signs it with its P-256 key. No issuer and no certificate: who
may enter is a list of public keys.
"""

from __future__ import annotations

import secrets

from readers import apdu, tlv
from readers.errors import CardError, CardRejectedError, ReaderUnavailableError

from .read import CardConnection, CardRead

__all__ = ["AID", "read_pkoc", "verify_response"]

AID = bytes.fromhex("A000000898000001")
_VERSION = b"\x01\x00"
_TAG_VERSION, _TAG_TRANSACTION, _TAG_READER, _TAG_KEY, _TAG_SIGNATURE = 0x5C, 0x4C, 0x4D, 0x5A, 0x9E


def read_pkoc(
    connection: CardConnection,
    *,
    reader: str = "",
    reader_id: bytes = bytes(16),
    site_id: bytes = bytes(16),
) -> CardRead | None:
    """Authenticate a PKOC card; None when the card has no PKOC application.

    ``identifier`` is the uncompressed public key in hexadecimal (130 digits). ``reader_id`` and ``site_id`` (16 bytes each)
    tell the card where it is being read. Raises CardRejectedError ``signature_invalid``, CardError ``bad_response``.
    """
    selected = apdu.select(connection, AID)
    if selected is None:
        return None
    version = tlv.find(selected, _TAG_VERSION)
    if version is None or len(version) % 2 or _VERSION not in (version[i : i + 2] for i in range(0, len(version), 2)):
        raise CardError("unsupported_version", "This card speaks a version of PKOC that this program does not know.")
    transaction = secrets.token_bytes(16)
    request = (
        tlv.encode(_TAG_VERSION, _VERSION) + tlv.encode(_TAG_TRANSACTION, transaction) + tlv.encode(_TAG_READER, reader_id + site_id)
    )
    response = apdu.send(connection, "authenticate", 0x80, 0x80, 0x00, 0x01, request)
    key = verify_response(response, transaction)
    return CardRead(reader=reader, format="pkoc", identifier=key.hex().upper(), authenticated=True)


def verify_response(response: bytes, transaction: bytes) -> bytes:
    """The public key (65 bytes) of an authentication response whose signature over ``transaction`` holds."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
        from cryptography.hazmat.primitives.hashes import SHA256
    except ImportError:
        raise ReaderUnavailableError("no_cryptography", "Verifying cards needs cryptography. Install the readers extra.") from None
    key, signature = tlv.find(response, _TAG_KEY), tlv.find(response, _TAG_SIGNATURE)
    if key is None or signature is None or len(key) != 65 or key[0] != 4 or len(signature) != 64:
        raise CardError("bad_response", "The card sent damaged data. Present it again, or use another card.")
    try:
        public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
        der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
        public.verify(der, transaction, ec.ECDSA(SHA256()))
    except (ValueError, InvalidSignature):
        raise CardRejectedError("signature_invalid", "The card could not prove its key. It may be a copy: use another card.") from None
    return key
