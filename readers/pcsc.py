"""PC/SC: the only importer of pyscard. Card readers that come and go, cards that come and go, and a pcscd that restarts.

Everything else works without pyscard; what needs it raises ReaderUnavailableError saying so. One thread owns one
``CardWatcher``: it waits in SCardGetStatusChange (no polling), so an idle reader costs nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from .errors import CardError, CardRemovedError, ReaderLostError, ReaderUnavailableError
from .log import log_traffic

__all__ = ["CardChange", "CardWatcher", "PcscConnection", "card_present", "list_card_readers"]

_NEW_READER = "\\\\?PnP?\\Notification"
# How long SCardGetStatusChange may wait: a bound on how late a stop is noticed, not on how late a card is.
_WAIT_MS = 60_000
_RETRY_S = 1.0


class CardChange(msgspec.Struct, frozen=True):
    """Something changed at a reader; ``reader`` is empty for the service itself."""

    reader: str
    what: Literal["reader_back", "reader_lost", "card_present", "card_removed", "service_lost", "service_back"]


def _scard() -> Any:
    try:
        from smartcard import scard
    except ImportError:
        raise ReaderUnavailableError(
            "no_pyscard", "Card readers need pyscard and PC/SC (pcscd). Install the cards extra and the pcscd package."
        ) from None
    return scard


def list_card_readers() -> list[str]:
    """Names of the card readers that PC/SC knows now. Raises ReaderUnavailableError ``no_pyscard`` or ``no_pcscd``."""
    scard = _scard()
    context = _context(scard)
    try:
        return _readers(scard, context)
    finally:
        scard.SCardReleaseContext(context)


def _context(scard: Any) -> Any:
    result, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    if result != scard.SCARD_S_SUCCESS:
        raise ReaderUnavailableError("no_pcscd", "The smart card service does not answer. Start pcscd (systemctl start pcscd.socket).")
    return context


def _readers(scard: Any, context: Any) -> list[str]:
    result, names = scard.SCardListReaders(context, [])
    return list(names) if result == scard.SCARD_S_SUCCESS else []


def card_present(reader: str) -> bool:
    """Whether PC/SC knows of a card in ``reader`` now; the card is not touched.

    Raises ReaderUnavailableError as ``list_card_readers`` does, and ReaderLostError for a reader that is not there.
    """
    scard = _scard()
    context = _context(scard)
    try:
        result, states = scard.SCardGetStatusChange(context, 0, [(reader, scard.SCARD_STATE_UNAWARE)])
    finally:
        scard.SCardReleaseContext(context)
    if result != scard.SCARD_S_SUCCESS:
        raise ReaderLostError(reader)
    return bool(states[0][1] & scard.SCARD_STATE_PRESENT)


class PcscConnection:
    """A CardConnection over PC/SC, opened for the card that is in ``reader`` now. Use as a context manager."""

    def __init__(self, reader: str) -> None:
        self._scard = _scard()
        self._reader = reader
        self._context = _context(self._scard)
        result, self._card, self._protocol = self._scard.SCardConnect(
            self._context, reader, self._scard.SCARD_SHARE_SHARED, self._scard.SCARD_PROTOCOL_T0 | self._scard.SCARD_PROTOCOL_T1
        )
        if result != self._scard.SCARD_S_SUCCESS:
            self._scard.SCardReleaseContext(self._context)
            raise self._error(result)
        # Without a transaction another program's SELECT may fall between two of ours.
        self._scard.SCardBeginTransaction(self._card)

    def __enter__(self) -> PcscConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def atr(self) -> bytes:
        """The card's answer to reset."""
        result, _, _, _, atr = self._scard.SCardStatus(self._card)
        return bytes(atr) if result == self._scard.SCARD_S_SUCCESS else b""

    def transmit(self, apdu: bytes) -> tuple[bytes, int]:
        """Exchange one APDU. Raises CardRemovedError, ReaderLostError, CardError ``mute_card``."""
        log_traffic(self._reader, ">", apdu, shown=4)
        result, response = self._scard.SCardTransmit(self._card, self._protocol, list(apdu))
        if result != self._scard.SCARD_S_SUCCESS:
            raise self._error(result)
        if not response:
            raise CardRemovedError  # drivers report a card that left this way as well
        if len(response) < 2:
            raise CardError("bad_response", "The card sent damaged data. Present it again, or use another card.")
        data, sw = bytes(response[:-2]), response[-2] << 8 | response[-1]
        log_traffic(self._reader, f"< {sw:04X}", data)
        return data, sw

    def close(self) -> None:
        """Give the card back, powered down so that the next reader starts afresh."""
        self._scard.SCardEndTransaction(self._card, self._scard.SCARD_LEAVE_CARD)
        self._scard.SCardDisconnect(self._card, self._scard.SCARD_RESET_CARD)
        self._scard.SCardReleaseContext(self._context)

    def _error(self, result: int) -> Exception:
        scard = self._scard
        if result in (scard.SCARD_W_REMOVED_CARD, scard.SCARD_E_NO_SMARTCARD, scard.SCARD_W_RESET_CARD):
            return CardRemovedError()
        gone = (scard.SCARD_E_UNKNOWN_READER, scard.SCARD_E_READER_UNAVAILABLE, scard.SCARD_E_NO_SERVICE, scard.SCARD_E_INVALID_HANDLE)
        if result in gone:
            return ReaderLostError(self._reader)
        return CardError("mute_card", "The card does not answer. Present it again, or use another card.")


class CardWatcher:
    """Watches all card readers from a thread of its own and calls ``report`` there with each CardChange.

    ``wanted`` chooses readers by a part of their name; empty watches all. A pcscd that stops is reported once and waited
    for. ``stop`` returns within the time of one wake-up.
    """

    def __init__(self, report: Callable[[CardChange], None], wanted: str = "") -> None:
        self._scard = _scard()
        self._report = report
        self._wanted = wanted
        self._stopping = threading.Event()
        self._context: Any = None
        self._thread = threading.Thread(target=self._run, name="card-watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; safe to call twice."""
        self._stopping.set()
        while self._thread.is_alive():
            if self._context is not None:
                self._scard.SCardCancel(self._context)
            self._thread.join(0.05)

    def _run(self) -> None:
        scard = self._scard
        known: dict[str, int] = {}
        service = True
        while not self._stopping.is_set():
            result, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
            if result != scard.SCARD_S_SUCCESS:
                if service:
                    service = False
                    self._forget(known)
                    self._report(CardChange("", "service_lost"))
                self._stopping.wait(_RETRY_S)
                continue
            if not service:
                service = True
                self._report(CardChange("", "service_back"))
            self._context = context
            try:
                self._watch(context, known)
            finally:
                self._context = None
                scard.SCardReleaseContext(context)

    def _forget(self, known: dict[str, int]) -> None:
        for name, state in known.items():
            if state & self._scard.SCARD_STATE_PRESENT:
                self._report(CardChange(name, "card_removed"))
            self._report(CardChange(name, "reader_lost"))
        known.clear()

    def _watch(self, context: Any, known: dict[str, int]) -> None:
        """Until the service fails: follow readers and cards by the state PC/SC reports for each."""
        scard = self._scard
        while not self._stopping.is_set():
            listed = scard.SCardListReaders(context, [])
            if listed[0] not in (scard.SCARD_S_SUCCESS, scard.SCARD_E_NO_READERS_AVAILABLE):
                return
            names = [name for name in listed[1] if self._wanted in name] if listed[0] == scard.SCARD_S_SUCCESS else []
            for name in [known_name for known_name in known if known_name not in names]:
                gone = {name: known.pop(name)}
                self._forget(gone)
            for name in names:
                if name not in known:
                    known[name] = scard.SCARD_STATE_UNAWARE
                    self._report(CardChange(name, "reader_back"))
            # The pseudo-reader wakes us when readers come or go; its upper half says how many we know of.
            states = [*((name, known[name]) for name in names), (_NEW_READER, len(listed[1]) << 16)]
            result, changed = scard.SCardGetStatusChange(context, _WAIT_MS, states)
            if result in (scard.SCARD_E_TIMEOUT, scard.SCARD_E_UNKNOWN_READER):
                continue
            if result == scard.SCARD_E_CANCELLED:
                continue
            if result != scard.SCARD_S_SUCCESS:
                time.sleep(0.05)
                return
            for name, state, _ in changed:
                if name in known:
                    self._compare(name, known[name], state)
                    known[name] = state & ~scard.SCARD_STATE_CHANGED

    def _compare(self, name: str, before: int, after: int) -> None:
        scard = self._scard
        was, now = bool(before & scard.SCARD_STATE_PRESENT), bool(after & scard.SCARD_STATE_PRESENT)
        # PC/SC counts insertions in the upper half: a card swapped between two looks is a removal and a new card.
        swapped = was and now and before >> 16 != after >> 16
        if was and (not now or swapped):
            self._report(CardChange(name, "card_removed"))
        if now and (not was or swapped):
            self._report(CardChange(name, "card_present"))
