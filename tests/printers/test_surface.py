"""What the package promises by name."""

import subprocess
import sys

import printers
import printers.testing


def test_the_public_names_are_these_and_no_others() -> None:
    assert printers.__all__ == [
        "LANGUAGES", "MEDIA", "PROFILES", "Badge", "BadgeError", "Category", "Condition", "CupsTransport", "DeviceTransport",
        "EncodingError", "Family", "FileJobStore", "FileTransport", "Interrupted", "Job", "JobStore", "LeaseLost", "Media",
        "MediaTooSmall", "NetworkTransport", "NotReady", "NotSent", "Paper", "PhotoError", "Policy", "Printer", "PrinterError",
        "PrinterState", "PrinterStatus", "Profile", "Receipt", "Spool", "State", "StoreBusy", "StoreCorrupt", "StoreError",
        "Timeouts", "Transport", "TransportError", "UnknownName", "Unreachable", "encode", "media_named", "photo_problem",
        "produce", "profile_named", "render", "unprintable",
    ]  # fmt: skip
    for name in printers.__all__:
        assert getattr(printers, name) is not None


def test_testing_offers_these() -> None:
    assert printers.testing.__all__ == [
        "Fault", "FaultProxy", "PrintedBadge", "VirtualPrinter", "sample_badges", "sample_photo", "sample_token",
    ]  # fmt: skip


def test_the_library_does_not_load_its_testing_part_nor_drivers_before_they_are_needed() -> None:
    code = "import sys, printers; print([m for m in ('printers.testing', 'escpos', 'zebrafy', 'asyncpg', 'visitor') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def test_every_error_is_a_printer_error() -> None:
    for name in printers.__all__:
        value = getattr(printers, name)
        if isinstance(value, type) and issubclass(value, Exception):
            assert issubclass(value, printers.PrinterError), name
