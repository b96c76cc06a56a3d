"""Where the lists that nobody here wrote are, and how a test reads its own."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from watchlists.records import Entry
from watchlists.sources import Report, read

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def published() -> Path:
    """The folder of published lists; the test is skipped where it is not."""
    folder = Path(os.environ.get("VISITOR_TEST_DATA", ROOT.parent / "shared" / "data")) / "watchlists"
    if not folder.is_dir():
        pytest.skip("the published test lists are not here (VISITOR_TEST_DATA)")
    return folder


Lenient = Callable[..., tuple[list[Entry], Report]]


@pytest.fixture
def lenient() -> Lenient:
    """Read bytes or text leniently and with no bound on refusals: (entries, report)."""

    def go(content: bytes | str, format: str, **options: Any) -> tuple[list[Entry], Report]:
        report = Report(max_refused=1.0)
        options.setdefault("as_of", date.min)
        data = content.encode() if isinstance(content, str) else content
        entries = list(read(io.BytesIO(data), format, name="list.csv", report=report, **options))
        return entries, report

    return go
