"""Whom we believe: trust anchors, certificate paths, revocation lists, and OCSP where the caller gives it a way out.

Path validation after RFC 5280 clause 6 as far as PIV needs it: names, signatures, validity, basic constraints, key usage,
extended key usage, revocation. Policy mapping and name constraints are not processed; a certificate authority with
critical name constraints is therefore not followed. Nothing here opens a network connection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, ExtensionOID

from readers.errors import CardRejectedError, ConfigError

from .piv_data import DAMAGED_X509

__all__ = ["PivTrust"]

_MAX_DEPTH = 6
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_UNDERSTOOD = {
    ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE, ExtensionOID.CERTIFICATE_POLICIES,
    ExtensionOID.POLICY_CONSTRAINTS, ExtensionOID.INHIBIT_ANY_POLICY, ExtensionOID.SUBJECT_ALTERNATIVE_NAME, ExtensionOID.POLICY_MAPPINGS,
}  # fmt: skip


@dataclass(frozen=True)
class PivTrust:
    """What a card's certificates are held against.

    ``anchors`` are believed as they are; ``intermediates`` only help to find a path. With ``crls``, a listed certificate is
    refused, and with ``require_revocation`` so is one whose issuer has no list in force. ``ocsp`` is called with a responder's
    URL and a DER request and returns the DER response, or None when the responder cannot be reached.
    """

    anchors: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...] = ()
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    require_revocation: bool = False
    ocsp: Callable[[str, bytes], bytes | None] | None = field(default=None, repr=False)
    # Serial numbers by (list, issuer's key): a federal list has a hundred thousand entries and is asked at every card.
    _revoked: dict[tuple[int, bytes], frozenset[int] | None] = field(default_factory=dict, init=False, compare=False, repr=False)

    @classmethod
    def load(
        cls,
        anchors: Iterable[Path],
        intermediates: Iterable[Path] = (),
        crls: Iterable[Path] = (),
        *,
        require_revocation: bool = False,
        ocsp: Callable[[str, bytes], bytes | None] | None = None,
    ) -> PivTrust:
        """Read PEM or DER files. Raises ConfigError ``bad_certificate`` naming the file that is none."""
        return cls(
            tuple(certificate for path in anchors for certificate in _certificates(path)),
            tuple(certificate for path in intermediates for certificate in _certificates(path)),
            tuple(_crl(path) for path in crls),
            require_revocation,
            ocsp,
        )

    def check(self, certificate: x509.Certificate, now: datetime, *, uses: frozenset[str] = frozenset()) -> None:
        """Find a path from ``certificate`` to an anchor that holds at ``now``; ``uses`` are extended key usages of which one is needed.

        Raises CardRejectedError: ``untrusted``, ``signature_invalid``, ``certificate_expired``, ``certificate_not_yet_valid``,
        ``revoked``, ``revocation_unknown``, ``wrong_use``, ``ocsp_invalid``.
        """
        self._path(certificate, now, 0, set())
        if uses:
            try:
                stated = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
            except (x509.ExtensionNotFound, ValueError):
                raise _rejected("wrong_use") from None
            if not uses & {oid.dotted_string for oid in stated}:
                raise _rejected("wrong_use")

    def _path(self, certificate: x509.Certificate, now: datetime, depth: int, seen: set[bytes]) -> None:
        if certificate in self.anchors:
            _in_force(certificate, now)
            return
        fingerprint = certificate.fingerprint(hashes.SHA256())
        if depth >= _MAX_DEPTH or fingerprint in seen:
            raise _rejected("untrusted")
        seen = seen | {fingerprint}
        failure = _rejected("untrusted")
        for issuer in (*self.anchors, *self.intermediates):
            if issuer.subject != certificate.issuer or issuer == certificate:
                continue
            try:
                certificate.verify_directly_issued_by(issuer)
                if not isinstance(certificate.signature_hash_algorithm, _HASHES):
                    raise InvalidSignature  # SHA-1 collisions are for sale
            except (ValueError, TypeError, InvalidSignature):
                if failure.code == "untrusted":
                    failure = _rejected("signature_invalid")
                continue
            try:
                _in_force(certificate, now)
                _may_issue(issuer, depth)
                self._revocation(certificate, issuer, now)
                self._path(issuer, now, depth + 1, seen)
            except CardRejectedError as error:
                failure = error
                continue
            return
        raise failure

    def _revocation(self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> None:
        known = False
        for index, crl in enumerate(self.crls):
            if crl.issuer != certificate.issuer:
                continue
            serials = self._serials(index, issuer)
            if serials is None:
                continue
            if certificate.serial_number in serials:
                raise _rejected("revoked")
            if crl.next_update_utc is None or crl.next_update_utc >= now:
                known = True
        if self.ocsp is not None:
            known = self._ask(certificate, issuer, now) or known
        if self.require_revocation and not known:
            raise _rejected("revocation_unknown")

    def _serials(self, index: int, issuer: x509.Certificate) -> frozenset[int] | None:
        """What list number ``index`` revokes, if ``issuer`` signed it; None if not."""
        place = index, issuer.fingerprint(hashes.SHA256())
        if place not in self._revoked:
            crl, key = self.crls[index], issuer.public_key()
            signed = isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)) and crl.is_signature_valid(key)
            self._revoked[place] = frozenset(entry.serial_number for entry in crl) if signed else None
        return self._revoked[place]

    def _ask(self, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime) -> bool:
        """Ask the certificate's OCSP responder (RFC 6960); False when it names none or cannot be reached."""
        assert self.ocsp is not None
        url = _ocsp_url(certificate)
        if url is None:
            return False
        request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1()).build()  # noqa: S303 - RFC 6960's CertID
        answer = self.ocsp(url, request.public_bytes(serialization.Encoding.DER))
        if answer is None:
            return False
        try:
            response = ocsp.load_der_ocsp_response(answer)
            if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
                return False
            responder = self._responder(response, issuer, now)
            _verify_ocsp(response, responder)
        except (ValueError, TypeError, InvalidSignature):
            raise _rejected("ocsp_invalid") from None
        if response.serial_number != certificate.serial_number:
            raise _rejected("ocsp_invalid")
        stale = response.next_update_utc is not None and response.next_update_utc < now
        if stale or response.this_update_utc > now + timedelta(minutes=5):
            raise _rejected("ocsp_invalid")
        if response.certificate_status is ocsp.OCSPCertStatus.REVOKED:
            raise _rejected("revoked")
        return response.certificate_status is ocsp.OCSPCertStatus.GOOD

    def _responder(self, response: Any, issuer: x509.Certificate, now: datetime) -> x509.Certificate:
        """Who may sign for ``issuer``: itself, or a certificate it issued for that use, in force and not revoked.

        id-pkix-ocsp-nocheck is not honored: a responder's certificate that a list revokes is refused all the same.
        """
        candidates: tuple[x509.Certificate, ...] = (issuer, *response.certificates)
        for candidate in candidates:
            named = response.responder_name == candidate.subject
            keyed = response.responder_key_hash is not None and response.responder_key_hash == _key_hash(candidate)
            if not (named or keyed):
                continue
            if candidate == issuer:
                return issuer
            candidate.verify_directly_issued_by(issuer)
            uses = candidate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
            if ExtendedKeyUsageOID.OCSP_SIGNING not in uses:
                continue
            if not candidate.not_valid_before_utc <= now <= candidate.not_valid_after_utc:
                raise _rejected("ocsp_invalid")
            for crl in self.crls:
                if crl.issuer == candidate.issuer and crl.get_revoked_certificate_by_serial_number(candidate.serial_number) is not None:
                    raise _rejected("ocsp_invalid")
            return candidate
        raise _rejected("ocsp_invalid")


def _verify_ocsp(response: Any, responder: x509.Certificate) -> None:
    key, algorithm = responder.public_key(), response.signature_hash_algorithm
    if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
        key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
        key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(algorithm))
    else:
        raise InvalidSignature


def _key_hash(certificate: x509.Certificate) -> bytes:
    """SHA-1 of the public key's bits, which is what RFC 5280 and RFC 6960 identify keys by."""
    return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest


def key_identifier_matches(certificate: x509.Certificate) -> bool:
    """Whether the certificate's subject key identifier, where it has one, is that of its own key (RFC 5280 clause 4.2.1.2)."""
    try:
        stated = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return True
    point = certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return stated == _key_hash(certificate) or stated == hashlib.sha1(point, usedforsecurity=False).digest()


def _ocsp_url(certificate: x509.Certificate) -> str | None:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return None
    for description in access:
        location = description.access_location
        if description.access_method == AuthorityInformationAccessOID.OCSP and isinstance(location, x509.UniformResourceIdentifier):
            return location.value
    return None


def _in_force(certificate: x509.Certificate, now: datetime) -> None:
    if now > certificate.not_valid_after_utc:
        raise _rejected("certificate_expired")
    if now < certificate.not_valid_before_utc:
        raise _rejected("certificate_not_yet_valid")


def _may_issue(issuer: x509.Certificate, depth: int) -> None:
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        raise _rejected("untrusted") from None
    if not constraints.ca or (constraints.path_length is not None and depth > constraints.path_length):
        raise _rejected("untrusted")
    for extension in issuer.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            raise _rejected("untrusted")
        if isinstance(extension.value, x509.KeyUsage) and not extension.value.key_cert_sign:
            raise _rejected("untrusted")


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        data = path.read_bytes()
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificates(data)
        return [x509.load_der_x509_certificate(data)]
    except (OSError, *DAMAGED_X509) as error:
        raise ConfigError("bad_certificate", f"{path.name} cannot be read as a certificate (PEM or DER).") from error


def _crl(path: Path) -> x509.CertificateRevocationList:
    try:
        data = path.read_bytes()
        return x509.load_pem_x509_crl(data) if b"-----BEGIN" in data else x509.load_der_x509_crl(data)
    except (OSError, *DAMAGED_X509) as error:
        raise ConfigError("bad_crl", f"{path.name} cannot be read as a certificate revocation list (PEM or DER).") from error


_REASONS = {
    "untrusted": "The card was issued by nobody this program is told to trust.",
    "signature_invalid": "A certificate on the card was altered.",
    "certificate_expired": "A certificate on the card has expired.",
    "certificate_not_yet_valid": "A certificate on the card is not valid yet.",
    "revoked": "The card was revoked by its issuer.",
    "revocation_unknown": "Whether the card was revoked cannot be found out. Renew the revocation lists.",
    "wrong_use": "A certificate on the card is not meant for this use.",
    "ocsp_invalid": "The answer of the issuer's status service cannot be trusted.",
}


def _rejected(code: str) -> CardRejectedError:
    return CardRejectedError(code, _REASONS[code] + (" Ask for another document." if code != "revocation_unknown" else ""))
