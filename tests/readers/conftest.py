"""Where the outside data is, the virtual GSA cards made of it, and a pcscd of our own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from readers import ReaderUnavailableError, tlv
from readers.cards import piv_data
from readers.cards.trust import PivTrust
from readers.testing import PcscStation, VirtualPiv, isolated_pcscd

ROOT = Path(__file__).resolve().parents[2]
TODAY = date(2026, 11, 21)


def _data() -> Path | None:
    folder = Path(os.environ.get("VISITOR_TEST_DATA", ROOT.parent / "shared" / "data"))
    return folder if folder.is_dir() else None


@pytest.fixture(scope="session")
def data() -> Path:
    folder = _data()
    if folder is None:
        pytest.skip("the outside test data is not here: set VISITOR_TEST_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def rows(data: Path) -> Callable[[str], list[dict[str, Any]]]:
    """Rows of a JSON-lines file of the outside data."""

    def read(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (data / name).read_text().splitlines() if line.strip()]

    return read


@pytest.fixture(scope="module")
def pcsc() -> Iterator[PcscStation]:
    """A real pcscd with two virtual readers."""
    try:
        with isolated_pcscd(readers=2) as station:
            yield station
    except ReaderUnavailableError as error:
        pytest.skip(error.message)


class GsaCards:
    """The GSA ICAM test cards as virtual cards, with the authority that issued them."""

    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    _files = {  # noqa: RUF012
        "1 - Discovery Object": b"\x7e", "2 - Security Object": piv_data.SECURITY, "7 - CCC": bytes.fromhex("5FC107"),
        "8 - CHUID Object": piv_data.CHUID, "9 - Fingerprints": piv_data.FINGERPRINTS, "10 - Face Object": piv_data.FACE,
        "11 - Printed Information": piv_data.PRINTED,
    }  # fmt: skip

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "piv/gsa_icam_test_cards/cards/ICAM_Card_Objects"
        self._signers = self.folder / "ICAM_CA_and_Signer"

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.name[:2].isdigit())

    def card(self, name: str) -> VirtualPiv:
        """The card in a folder. Its private keys are the published ones; the PIN is ours."""
        folder = self.folder / name
        objects = {tag: (folder / file).read_bytes() for file, tag in self._files.items() if (folder / file).exists()}
        objects = {tag: content for tag, content in objects.items() if content}
        keys = {}
        for number, tag, slot in (("3", piv_data.PIV_AUTH, 0x9A), ("6", piv_data.CARD_AUTH, 0x9E)):
            certificate = _one(folder, f"{number} - ICAM_PIV*.crt")
            der = _certificate(certificate).public_bytes(serialization.Encoding.DER) if _parses(certificate) else certificate.read_bytes()
            objects[tag] = tlv.encode(0x70, der) + b"\x71\x01\x00\xfe\x00"
            keys[slot] = _key(_one(folder, f"{number} - ICAM_PIV*.p12"))
        return VirtualPiv(objects, keys)

    def signer(self, name: str) -> tuple[Any, x509.Certificate]:
        """Key and certificate of one of the authorities and signers."""
        key, certificate, _ = pkcs12.load_key_and_certificates((self._signers / f"{name}.p12").read_bytes(), b"")
        assert certificate is not None
        return key, certificate

    def trust(self, **more: Any) -> PivTrust:
        """The two roots as anchors, the signing authorities to build paths with, and revocation lists of our making."""
        certificates = {path.stem: _certificate(path) for path in self._signers.glob("*.crt")}
        return PivTrust(
            anchors=tuple(found for name, found in certificates.items() if "Root_CA" in name),
            intermediates=tuple(found for name, found in certificates.items() if "Signing_CA" in name),
            **more,
        )

    def crl(self, authority: str, revoked: list[x509.Certificate]) -> x509.CertificateRevocationList:
        key, issuer = self.signer(authority)
        builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
        builder = builder.last_update(self.now - timedelta(days=1)).next_update(self.now + timedelta(days=6))
        for certificate in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(self.now - timedelta(days=2))
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(key, hashes.SHA256())


def _one(folder: Path, pattern: str) -> Path:
    return next(iter(sorted(folder.glob(pattern))))


def _parses(path: Path) -> bool:
    try:
        _certificate(path)
    except ValueError:
        return False
    return True


def _certificate(path: Path) -> x509.Certificate:
    content = path.read_bytes()
    return x509.load_pem_x509_certificate(content) if b"-----BEGIN" in content else x509.load_der_x509_certificate(content)


def _key(path: Path) -> Any:
    return pkcs12.load_key_and_certificates(path.read_bytes(), b"")[0]


@pytest.fixture(scope="session")
def gsa(data: Path) -> GsaCards:
    return GsaCards(data)
