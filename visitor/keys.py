"""The key ring: identity secret, data keys and signing keys of a district, in one private file.

    {"identity": …, "data": {kid: key}, "data_now": kid, "signing": {kid: seed}, "signing_now": kid, "body": …}

- `identity_key`: HMAC-SHA-256 (RFC 2104) over a domain tag, issuer and document number: a person is known across schools
  without a shared row.
- `seal`/`open`: AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce; the `kid` is kept beside the ciphertext and the
  row's own place (table and id) is authenticated with it, so that a ciphertext moved to another row does not open.
- `sign`/`verify`: COSE_Sign1 (RFC 9052 §4.2) with Ed25519 over a CWT claim set (RFC 8392). Written here with cbor2 and
  cryptography because the PyPI `cwt` package wants a cbor2 that other parts cannot have; tests check it against `cwt`.

Every process of a district uses the same ring: `check` proves it against the database.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import cbor2
import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from visitor.errors import SetupError, VisitorError

_ALG, _KID, _EDDSA = 1, 4, -8  # RFC 9052 §3.1, RFC 9053 §2.2
_SUB, _EXP, _IAT, _CTI = 2, 4, 6, 7  # RFC 8392 §3.1
_KIND, _SITE = -70001, -70002  # private use (RFC 8392 §9.1)


class KeyProblem(VisitorError):
    """A ciphertext or token that this ring cannot open: wrong ring, or damaged."""

    type = "key-problem"
    title = "A stored secret could not be opened with this node's key ring"


class TokenInvalid(Exception):
    """A credential token that is none of ours: `reason` is "malformed", "unknown-key" or "bad-signature"."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Claims(msgspec.Struct, frozen=True):
    """What a badge or emergency token says: no name in it."""

    kind: str  # "badge" or "emergency"
    id: UUID
    site_id: UUID
    issued_at: datetime
    expires_at: datetime


class _Ring(msgspec.Struct):
    identity: bytes
    body: bytes
    data: dict[str, bytes]
    data_now: str
    signing: dict[str, bytes]
    signing_now: str


class KeyRing:
    def __init__(self, ring: _Ring) -> None:
        self._ring = ring
        self._ciphers = {kid: AESGCM(key) for kid, key in ring.data.items()}
        self._signers = {kid: Ed25519PrivateKey.from_private_bytes(seed) for kid, seed in ring.signing.items()}
        self._verifiers = {kid: key.public_key() for kid, key in self._signers.items()}

    @classmethod
    def new(cls) -> KeyRing:
        data, signing = secrets.token_hex(4), secrets.token_hex(4)
        return cls(
            _Ring(
                identity=secrets.token_bytes(32), body=secrets.token_bytes(32),
                data={data: secrets.token_bytes(32)}, data_now=data,
                signing={signing: secrets.token_bytes(32)}, signing_now=signing,
            )
        )

    @classmethod
    def load(cls, file: Path) -> KeyRing:
        """Read the ring. Raises SetupError when the file is missing, damaged or readable by others."""
        try:
            if file.stat().st_mode & 0o077:
                raise SetupError(f"The key file {file} can be read by others. Run: chmod 600 {file}")
            return cls(msgspec.json.decode(file.read_bytes(), type=_Ring))
        except FileNotFoundError as e:
            raise SetupError(f"The key file {file} is missing. Restore it from the backup: without it nothing can be read.") from e
        except (msgspec.DecodeError, ValueError) as e:
            raise SetupError(f"The key file {file} is damaged. Restore it from the backup.") from e

    def save(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as f:
            f.write(msgspec.json.encode(self._ring))
            f.flush()
            os.fsync(f.fileno())

    @classmethod
    def load_or_create(cls, file: Path) -> KeyRing:
        if not file.exists():
            ring = cls.new()
            ring.save(file)
            return ring
        return cls.load(file)

    # ── identity ─────────────────────────────────────────────────────────────────────────────────────────

    def check(self) -> bytes:
        """A value that only this ring gives: kept in the database to refuse a process with another ring."""
        return self._mac(b"visitor key check", b"")

    def identity_key(self, *parts: str) -> bytes:
        """The identity key over (tag, issuer, number …): 32 bytes. Parts are length-framed, so none runs into the next."""
        return self._mac(b"visitor identity", b"".join(len(p.encode()).to_bytes(4, "big") + p.encode() for p in parts))

    def digest(self, domain: str, value: bytes) -> bytes:
        """A keyed hash of something that must be found again but not read: a card number, a request body."""
        return hmac.digest(self._ring.body, domain.encode() + b"\0" + value, "sha256")

    def registry_key(self) -> bytes:
        """A key of its own for registries' document numbers: a process that reads a list is given this and no other."""
        return self._mac(b"visitor registry ids", b"")

    def _mac(self, domain: bytes, value: bytes) -> bytes:
        return hmac.digest(self._ring.identity, domain + b"\0" + value, "sha256")

    # ── sealing at rest ──────────────────────────────────────────────────────────────────────────────────

    @property
    def kid(self) -> str:
        return self._ring.data_now

    def seal(self, value: bytes, place: str) -> bytes:
        """Encrypt under the current key; keep `kid` beside it. `place` is authenticated ("people.secrets:<id>")."""
        nonce = secrets.token_bytes(12)
        return nonce + self._ciphers[self.kid].encrypt(nonce, value, place.encode())

    def open(self, sealed: bytes, kid: str, place: str) -> bytes:
        """Decrypt; raises KeyProblem when the key is not on this ring or the value was altered or moved."""
        cipher = self._ciphers.get(kid)
        if cipher is None:
            raise KeyProblem(f"Data key {kid} is not on this node's key ring.")
        try:
            return cipher.decrypt(sealed[:12], sealed[12:], place.encode())
        except InvalidTag as e:
            raise KeyProblem() from e

    # ── tokens ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def signing_kid(self) -> str:
        return self._ring.signing_now

    def public_keys(self) -> dict[str, bytes]:
        return {kid: key.public_bytes_raw() for kid, key in self._verifiers.items()}

    def trust(self, kid: str, public_key: bytes) -> None:
        """Accept tokens that another node of the district signed."""
        self._verifiers.setdefault(kid, Ed25519PublicKey.from_public_bytes(public_key))

    def sign(self, claims: Claims, kid: str | None = None) -> bytes:
        """COSE_Sign1 bytes, deterministic: the same claims and key give the same token, so none needs keeping."""
        kid = kid or self.signing_kid
        signer = self._signers.get(kid)
        if signer is None:
            raise KeyProblem(f"Signing key {kid} is not on this node's key ring.")
        protected = cbor2.dumps({_ALG: _EDDSA, _KID: kid.encode()}, canonical=True)
        payload = cbor2.dumps(
            {
                _CTI: claims.id.bytes, _EXP: int(claims.expires_at.timestamp()), _IAT: int(claims.issued_at.timestamp()),
                _KIND: claims.kind, _SITE: claims.site_id.bytes,
            },
            canonical=True,
        )
        signature = signer.sign(_to_sign(protected, payload))
        return cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload, signature]), canonical=True)

    def verify(self, token: bytes) -> Claims:
        """The claims of a token that a district key signed; whether it still counts is for the caller to judge.

        Raises TokenInvalid. Bounded: anything over 1 kB is malformed.
        """
        if len(token) > 1024:
            raise TokenInvalid("malformed")
        try:
            message = cbor2.loads(token)
            assert isinstance(message, cbor2.CBORTag) and message.tag == 18
            protected, unprotected, payload, signature = message.value
            # One spelling of a token only: what is outside the signature must be what `sign` writes.
            assert unprotected == {} and cbor2.dumps(message, canonical=True) == token
            header = cbor2.loads(protected)
            assert header[_ALG] == _EDDSA
            kid = header[_KID].decode("ascii")
        except Exception as e:  # hostile bytes: cbor2 raises many kinds, all of which mean the same here
            raise TokenInvalid("malformed") from e
        key = self._verifiers.get(kid)
        if key is None:
            raise TokenInvalid("unknown-key")
        try:
            key.verify(signature, _to_sign(protected, payload))
        except (InvalidSignature, TypeError, ValueError) as e:
            raise TokenInvalid("bad-signature") from e
        try:
            claims: dict[Any, Any] = cbor2.loads(payload)
            return Claims(
                kind=str(claims[_KIND]), id=UUID(bytes=claims[_CTI]), site_id=UUID(bytes=claims[_SITE]),
                issued_at=datetime.fromtimestamp(claims[_IAT], UTC), expires_at=datetime.fromtimestamp(claims[_EXP], UTC),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as e:
            raise TokenInvalid("malformed") from e


def _to_sign(protected: bytes, payload: bytes) -> bytes:
    return cbor2.dumps(["Signature1", protected, b"", payload], canonical=True)


# ── base45 (RFC 9285): a QR code's alphanumeric mode holds it in 45 % fewer modules than base64 in byte mode ─────────

_B45 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def base45_encode(data: bytes) -> str:
    out = []
    for i in range(0, len(data) - 1, 2):
        n = data[i] * 256 + data[i + 1]
        out += [_B45[n % 45], _B45[n // 45 % 45], _B45[n // 2025]]
    if len(data) % 2:
        out += [_B45[data[-1] % 45], _B45[data[-1] // 45]]
    return "".join(out)


def base45_decode(text: str) -> bytes:
    """Raises ValueError for anything that is not base45."""
    try:
        digits = [_B45.index(c) for c in text]
    except ValueError:
        raise ValueError("not base45") from None
    out = bytearray()
    for i in range(0, len(digits), 3):
        group = digits[i : i + 3]
        if len(group) == 1:
            raise ValueError("not base45")
        n = sum(d * 45**k for k, d in enumerate(group))
        size = len(group) - 1
        if n >= 256**size:
            raise ValueError("not base45")
        out += n.to_bytes(size, "big")
    return bytes(out)


BADGE_PREFIX = "VB1:"


def token_text(token: bytes) -> str:
    """The text of a badge's QR code."""
    return BADGE_PREFIX + base45_encode(token)


def token_bytes(text: str) -> bytes:
    """The COSE message of a scanned text. Raises TokenInvalid."""
    if not text.startswith(BADGE_PREFIX) or len(text) > 2048:
        raise TokenInvalid("malformed")
    try:
        return base45_decode(text[len(BADGE_PREFIX) :].strip("\r\n\t"))
    except ValueError as e:
        raise TokenInvalid("malformed") from e


def hash_secret(value: str) -> bytes:
    """SHA-256 of a random secret (session, device token, machine token): enough, since none can be guessed."""
    return hashlib.sha256(value.encode()).digest()


def new_secret(prefix: str = "") -> str:
    return prefix + base64.urlsafe_b64encode(secrets.token_bytes(24)).decode().rstrip("=")
