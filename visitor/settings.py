"""Configuration: one frozen tree, decoded strictly from `visitor.toml` and `VISITOR_*` variables.

Order: defaults, then the file, then the environment (`VISITOR_PORT=9000`, `VISITOR_SCREENING__MAX_AGE_HOURS=48`), then
the command line. An unknown key is an error that names the nearest right one. The tree is passed, never a global.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from visitor.errors import SetupError

# Variables that belong to tests and tools, not to the tree.
_NOT_OURS = {"VISITOR_TEST_DATA", "VISITOR_CHROMIUM", "VISITOR_CONFIG"}


class Screening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a list is too old to trust, and how sure a match must be (bits, see watchlists/README.md)."""

    max_age_hours: float = 24 * 8
    amber_bits: float = 20.0
    red_bits: float = 26.0
    timeout_seconds: float = 3.0


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds on what is accepted: bytes and tries a minute."""

    photo_bytes: int = 8_000_000
    scan_bytes: int = 8_000_000
    upload_bytes: int = 600_000_000
    sign_in_per_minute: int = 10
    requests_per_minute: int = 60_000  # of one address: a whole school may stand behind one


class Hardware(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Devices at this node that read documents for a station; keys are devices, values stations' ids.

    `piv_anchors` are certificate files (PEM or DER) that PIV cards are held against, `piv_intermediates` help to find a path,
    `piv_crls` are revocation lists; without anchors a PIV card is refused.
    """

    serial: dict[str, UUID] = {}  # /dev/serial/by-id/… → station
    network: dict[str, UUID] = {}  # host:port of a scanner that waits for our connection → station
    listen: dict[str, UUID] = {}  # host:port where a scanner connects to us → station
    cards: dict[str, UUID] = {}  # a part of a PC/SC reader's name ("" for any) → station; one at most
    piv_anchors: tuple[Path, ...] = ()
    piv_intermediates: tuple[Path, ...] = ()
    piv_crls: tuple[Path, ...] = ()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    data: Path = Path("var")
    host: str = "127.0.0.1"
    port: int = 8080
    database_url: str = ""
    database_owner_url: str = ""
    keys: Path | None = None  # the key ring's file; default: keys.json in the data folder
    tls_cert: Path | None = None
    tls_key: Path | None = None
    public_url: str = ""
    demo: bool = False
    log_level: str = "info"
    screening: Screening = Screening()
    limits: Limits = Limits()
    hardware: Hardware = Hardware()

    @property
    def key_file(self) -> Path:
        return self.keys or self.data / "keys.json"

    @property
    def url(self) -> str:
        """The address people use, without a trailing slash."""
        if self.public_url:
            return self.public_url.rstrip("/")
        scheme = "https" if self.tls_cert else "http"
        host = "127.0.0.1" if self.host in ("0.0.0.0", "") else self.host  # noqa: S104  compared, not bound
        return f"{scheme}://{host}:{self.port}"


def load(
    file: Path | None = None, environ: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Read the settings; `overrides` are the command line's. Raises SetupError with what to change."""
    environ = os.environ if environ is None else environ
    tree: dict[str, Any] = {}
    file = file or (Path(environ["VISITOR_CONFIG"]) if "VISITOR_CONFIG" in environ else None)
    if file is not None:
        try:
            tree = tomllib.loads(file.read_text("utf-8"))
        except FileNotFoundError as e:
            raise SetupError(f"The configuration file {file} does not exist.") from e
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
            raise SetupError(f"The configuration file {file} cannot be read: {e}") from e
    for name, value in environ.items():
        if name.startswith("VISITOR_") and name not in _NOT_OURS:
            _put(tree, name.removeprefix("VISITOR_").lower().split("__"), value)
    for key, value in (overrides or {}).items():
        if value is not None:
            _put(tree, key.split("."), value)
    _check_keys(tree, Settings, "")
    try:
        settings = msgspec.convert(tree, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as e:
        raise SetupError(f"The configuration is not valid: {e}") from e
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise SetupError("Give both --tls-cert and --tls-key, or neither.")
    for path in (settings.tls_cert, settings.tls_key):
        if path is not None and not path.is_file():
            raise SetupError(f"There is no file {path} to serve HTTPS with.")
    return msgspec.structs.replace(settings, data=settings.data.expanduser().absolute())


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"a {kind.__name__} is expected")


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        node = tree.setdefault(part, {})
        if not isinstance(node, dict):
            raise SetupError(f"{part} is both a value and a section of the configuration.")
        tree = node
    tree[path[-1]] = value


def _check_keys(tree: Mapping[str, Any], cls: type[msgspec.Struct], prefix: str) -> None:
    fields = {f.name: f.type for f in msgspec.structs.fields(cls)}
    for key, value in tree.items():
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            hint = f" Did you mean {prefix}{near[0]}?" if near else f" Known: {', '.join(sorted(fields))}."
            raise SetupError(f"There is no setting {prefix}{key}.{hint}")
        kind = fields[key]
        if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            _check_keys(value, kind, f"{prefix}{key}.")
