"""Which application a presented card has, asked in order of strength: PIV, PKOC, then its bare UID."""

from __future__ import annotations

from datetime import datetime

from readers.document import IdDocument

from .piv import PivTrust, read_piv
from .pkoc import read_pkoc
from .read import CardConnection, CardRead
from .uid import read_uid

__all__ = ["read_card"]


def read_card(
    connection: CardConnection, *, reader: str = "", trust: PivTrust | None = None, now: datetime | None = None
) -> tuple[CardRead, IdDocument | None]:
    """Read whatever card this is. A PIV card also gives a document.

    A card that has a strong application and fails it is refused, never read by its UID instead: that would let a broken
    credential in by its serial number. Raises CardError, CardRejectedError, CardRemovedError, ReaderLostError.
    """
    piv = read_piv(connection, reader=reader, trust=trust, now=now)
    if piv is not None:
        return piv
    pkoc = read_pkoc(connection, reader=reader)
    if pkoc is not None:
        return pkoc, None
    return read_uid(connection, reader=reader), None
