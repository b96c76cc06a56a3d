"""The public surface, pinned: a name that goes or comes is a decision, not an accident."""

import readers
import readers.testing


def test_the_package_exports_exactly_these_names() -> None:
    assert readers.__all__ == [
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


def test_every_exported_name_exists() -> None:
    for package in (readers, readers.testing):
        for name in package.__all__:
            assert hasattr(package, name), name
