"""Identity and door hardware in: documents, cards, scanners and door readers of a front desk; usable without the service.

``parse`` reads what a scanner sent, ``decode_image`` what a camera saw, ``open_readers`` follows every device of a station,
``read_card`` reads a smart card, ``DoorBus`` talks to door readers. ``readers.testing`` has all of them without hardware.
"""

from .aamva import parse_aamva
from .barcode.symbol import Symbol
from .barcode.zxing import decode_image
from .cards.identify import read_card
from .cards.piv import PivTrust, read_piv
from .cards.pkoc import read_pkoc
from .cards.read import CardConnection, CardRead
from .document import (
    Address,
    BadgeToken,
    CardNumber,
    DocumentWarning,
    IdDocument,
    InvitationToken,
    Reading,
)
from .errors import (
    ApduError,
    CardError,
    CardRejectedError,
    CardRemovedError,
    ConfigError,
    DocumentError,
    ImageError,
    ReaderError,
    ReaderLostError,
    ReaderUnavailableError,
)
from .events import (
    CardPresented,
    CardRemoved,
    DocumentScanned,
    DoorEvent,
    KeysPressed,
    ReaderBack,
    ReaderEvent,
    ReaderLost,
    Tampered,
    Unreadable,
)
from .line import DescriptorLine, SerialLine, TcpLine
from .log import TRAFFIC
from .mrz import parse_mrz
from .osdp import DoorBus, DoorReader
from .pcsc import list_card_readers
from .recognize import parse
from .stream import CardReaders, InputScanner, LineScanner, ListeningScanner, ReadersConfig, ReaderStream, open_readers
from .wedge import KeyDown, Wedge, decode_keys
from .wiegand import decode as decode_wiegand
from .wiegand import encode as encode_wiegand

__all__ = [
    "TRAFFIC",
    "Address",
    "ApduError",
    "BadgeToken",
    "CardConnection",
    "CardError",
    "CardNumber",
    "CardPresented",
    "CardRead",
    "CardReaders",
    "CardRejectedError",
    "CardRemoved",
    "CardRemovedError",
    "ConfigError",
    "DescriptorLine",
    "DocumentError",
    "DocumentScanned",
    "DocumentWarning",
    "DoorBus",
    "DoorEvent",
    "DoorReader",
    "IdDocument",
    "ImageError",
    "InputScanner",
    "InvitationToken",
    "KeyDown",
    "KeysPressed",
    "LineScanner",
    "ListeningScanner",
    "PivTrust",
    "ReaderBack",
    "ReaderError",
    "ReaderEvent",
    "ReaderLost",
    "ReaderLostError",
    "ReaderStream",
    "ReaderUnavailableError",
    "ReadersConfig",
    "Reading",
    "SerialLine",
    "Symbol",
    "Tampered",
    "TcpLine",
    "Unreadable",
    "Wedge",
    "decode_image",
    "decode_keys",
    "decode_wiegand",
    "encode_wiegand",
    "list_card_readers",
    "open_readers",
    "parse",
    "parse_aamva",
    "parse_mrz",
    "read_card",
    "read_piv",
    "read_pkoc",
]
