"""PIV data objects and how they are taken apart (SP 800-73-4 part 1, appendix A; SP 800-76-2 for biometrics)."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from datetime import UTC, date, datetime

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from readers import tlv
from readers.errors import CardError

from .fascn import FascN

__all__ = ["CARD_AUTH", "CHUID", "FACE", "FINGERPRINTS", "PIV_AUTH", "PRINTED", "SECURITY", "Cbeff", "Chuid", "card_identifiers"]

CHUID = bytes.fromhex("5FC102")
CARD_AUTH = bytes.fromhex("5FC101")
PIV_AUTH = bytes.fromhex("5FC105")
SECURITY = bytes.fromhex("5FC106")
FINGERPRINTS = bytes.fromhex("5FC103")
FACE = bytes.fromhex("5FC108")
PRINTED = bytes.fromhex("5FC109")

# Container identifiers of SP 800-73-4 part 1 table 2, as the security object's map lists them.
CONTAINERS = {0x3000: CHUID, 0x6010: FINGERPRINTS, 0x6030: FACE, 0x3001: PRINTED}

_FASCN_OID = x509.ObjectIdentifier("2.16.840.1.101.3.6.6")
_MAX_CERTIFICATE = 32_768


class Chuid(msgspec.Struct, frozen=True):
    """The Card Holder Unique Identifier. ``signed`` is what the issuer's signature covers."""

    fascn_bytes: bytes
    guid: bytes
    expires: date
    signature: bytes
    signed: tuple[bytes, ...]

    @property
    def fascn(self) -> FascN:
        return FascN.decode(self.fascn_bytes)

    @classmethod
    def parse(cls, data: bytes) -> Chuid:
        """Raises CardError ``bad_chuid`` or ``bad_tlv``."""
        values: dict[int, bytes] = {}
        before, after = bytearray(), bytearray()
        for item in tlv.parse(data):
            values.setdefault(item.tag, item.value)
            if item.tag == 0x3E:
                continue
            (after if 0x3E in values else before).extend(data[item.start : item.end])
        try:
            expires = datetime.strptime(values[0x35].decode("ascii"), "%Y%m%d").date()  # noqa: DTZ007 - a date, not a time
        except (KeyError, ValueError):
            raise _bad("bad_chuid") from None
        if len(values.get(0x30, b"")) != 25 or len(values.get(0x34, bytes(16))) != 16:
            raise _bad("bad_chuid")
        # SP 800-73-4 leaves open whether the empty error detection code is signed: issuers do both.
        return cls(
            values[0x30], values.get(0x34, bytes(16)), expires, values.get(0x3E, b""), (bytes(before + after), bytes(before))
        )


class Cbeff(msgspec.Struct, frozen=True):
    """A biometric record's header and parts (SP 800-76-2 table 8)."""

    signed: bytes
    record: bytes
    signature: bytes
    not_before: datetime
    not_after: datetime
    fascn_bytes: bytes

    @classmethod
    def parse(cls, data: bytes) -> Cbeff:
        """Raises CardError ``bad_biometric`` or ``bad_tlv``."""
        body = tlv.find(data, 0xBC)
        if body is None or len(body) < 88:
            raise _bad("bad_biometric")
        length, signature_length = int.from_bytes(body[2:6], "big"), int.from_bytes(body[6:8], "big")
        end = 88 + length
        if end + signature_length > len(body):
            raise _bad("bad_biometric")
        return cls(
            body[:end], body[88:end], body[end : end + signature_length], _cbeff_time(body[20:28]), _cbeff_time(body[28:36]), body[59:84]
        )

    @property
    def picture(self) -> bytes | None:
        """The JPEG or JPEG 2000 inside a facial record (INCITS 385), None when there is none."""
        for mark in (b"\xff\xd8\xff", b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51"):
            at = self.record.find(mark)
            if at >= 0:
                return self.record[at:]
        return None


def _cbeff_time(data: bytes) -> datetime:
    """Eight bytes: century, year, month, day, hour, minute, second in binary, then "Z"."""
    try:
        return datetime(data[0] * 100 + data[1], data[2], data[3], data[4], data[5], data[6], tzinfo=UTC)
    except (IndexError, ValueError):
        raise _bad("bad_biometric") from None


def certificate(data: bytes) -> x509.Certificate:
    """The certificate of a container, gunzipped within a bound where it is compressed. Raises CardError ``bad_certificate``."""
    der = tlv.find(data, 0x70)
    info = tlv.find(data, 0x71) or b"\x00"
    if der is None:
        raise _bad("bad_certificate")
    try:
        if info[0] & 0x01:
            with gzip.GzipFile(fileobj=io.BytesIO(der)) as stream:
                der = stream.read(_MAX_CERTIFICATE + 1)
            if len(der) > _MAX_CERTIFICATE:
                raise _bad("bad_certificate")
        return load_certificate(der)
    except (OSError, EOFError, zlib.error):
        raise _bad("bad_certificate") from None


# What cryptography raises for damaged or odd certificates; several are plain Exceptions, no ValueErrors.
DAMAGED_X509 = (
    ValueError, TypeError, OverflowError, UnsupportedAlgorithm,
    x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType,
)  # fmt: skip


def load_certificate(der: bytes) -> x509.Certificate:
    """A certificate whose every part can be used. Raises CardError ``bad_certificate``.

    The library parses names, key and extensions only when they are asked for: a damaged one would fail far from here.
    """
    try:
        found = x509.load_der_x509_certificate(der)
        _ = found.public_key(), found.subject, found.issuer, found.not_valid_after_utc, found.not_valid_before_utc
        _ = list(found.extensions), found.signature_hash_algorithm
    except DAMAGED_X509:
        raise _bad("bad_certificate") from None
    return found


def card_identifiers(subject: x509.Certificate) -> tuple[bytes | None, bytes | None]:
    """FASC-N and card UUID that a certificate is bound to (subject alternative name; FIPS 201-3 clause 4.2.2)."""
    try:
        names = subject.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None, None
    fascn = uuid = None
    for name in names:
        if isinstance(name, x509.OtherName) and name.type_id == _FASCN_OID:
            fascn = tlv.find(name.value, 0x04)
        elif isinstance(name, x509.UniformResourceIdentifier):
            match = re.fullmatch(r"urn:uuid:([0-9a-fA-F-]{36})", name.value)
            if match:
                uuid = bytes.fromhex(match[1].replace("-", ""))
    return fascn, uuid


def printed_name(data: bytes) -> str | None:
    """The name printed on the card (tag 01 of Printed Information)."""
    value = tlv.find(data, 0x01)
    return value.decode("utf-8", "replace").strip() or None if value else None


def _bad(code: str) -> CardError:
    return CardError(code, "The card sent damaged data. Present it again, or use another card.")
