"""Every error this library raises, in one tree.

    ReaderError
    ├── DocumentError      what was scanned is no document we can stand behind
    ├── ImageError         a picture that cannot or must not be opened
    ├── CardError          a card answered wrongly, or not at all
    │   ├── CardRemovedError    it was pulled while we were talking to it
    │   ├── ApduError      it answered a status word that ends the conversation (``sw``)
    │   └── CardRejectedError   it answered, and what it proved is not enough (expired, revoked, forged …)
    ├── ReaderLostError         the device itself is gone (unplugged, service stopped, line dead)
    ├── ReaderUnavailableError  a driver or a service that this device needs is not installed or not running
    └── ConfigError        a configuration that names no device we know

Each carries a stable ``code`` for programs and an English sentence that says what to do. No message carries a name,
a birth date, a number or raw bytes of a document: they end in logs.
"""

from __future__ import annotations

__all__ = [
    "ApduError",
    "CardError",
    "CardRejectedError",
    "CardRemovedError",
    "ConfigError",
    "DocumentError",
    "ImageError",
    "ReaderError",
    "ReaderLostError",
    "ReaderUnavailableError",
]


class ReaderError(Exception):
    """Base of every error of this library: ``code`` is stable, ``str(error)`` is a sentence for a person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.code, self.message))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code!r})"


class DocumentError(ReaderError):
    """The scan holds no document, or one too damaged to take facts from. Ask for another scan or type it in."""


class ImageError(ReaderError):
    """The picture is of no supported kind, damaged, or larger than the bound against decompression bombs."""


class CardError(ReaderError):
    """A card answered wrongly or not in time."""


class CardRemovedError(CardError):
    """The card left the reader in the middle of an exchange."""

    def __init__(self, message: str = "The card was removed too early. Present it again and hold it still.") -> None:
        super().__init__("card_removed", message)

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.message,))


class ApduError(CardError):
    """A status word other than success (ISO 7816-4 clause 5.6); ``sw`` is the two bytes as one number."""

    def __init__(self, sw: int, what: str) -> None:
        super().__init__("status_word", f"The card refused to {what} (status {sw:04X}). Try it again, or use another card.")
        self.sw = sw
        self.what = what

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.sw, self.what))


class CardRejectedError(CardError):
    """The card took part in the exchange, but what it proved does not hold: ``code`` says which check failed."""


class ReaderLostError(ReaderError):
    """The device is gone. Streams report it as an event of the same name and go on trying; direct calls raise it."""

    def __init__(self, reader: str, message: str = "The reader does not answer. Check its cable and power.") -> None:
        super().__init__("reader_lost", message)
        self.reader = reader

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.reader, self.message))


class ReaderUnavailableError(ReaderError):
    """What the device needs on this machine is missing: a driver not installed, a service not running."""


class ConfigError(ReaderError):
    """The configuration names no device this library knows, or leaves out what the device needs."""
