"""The names others may rely on, and the examples in the documentation."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

from watchlists import sources


def test_the_public_surface_is_pinned() -> None:
    assert sources.__all__ == [
        "AIRCRAFT", "ENTITY", "FORMATS", "INDIVIDUAL", "KINDS", "MAX_BYTES", "VESSEL", "Document", "Format", "HashId", "PersonSource",
        "Problem", "Report", "Source", "SourceError", "TooManyRefusedError", "UnknownFormatError", "canonical_id", "in_force",
        "keyed_hash", "read",
    ]  # fmt: skip
    assert all(hasattr(sources, name) for name in sources.__all__)


def test_the_formats_have_the_names_that_are_documented() -> None:
    assert list(sources.FORMATS) == [
        "ofac-csv", "ofac-xml", "un-xml", "ofsi-csv", "opensanctions-csv", "nsopw-json", "mapped-csv", "barred-csv", "custody-csv",
        "entries-jsonl",
    ]  # fmt: skip


def test_the_examples_in_docstrings_hold() -> None:
    tried = 0
    for module in pkgutil.iter_modules(sources.__path__):
        result = doctest.testmod(importlib.import_module(f"watchlists.sources.{module.name}"))
        assert result.failed == 0, module.name
        tried += result.attempted
    assert tried >= 5
