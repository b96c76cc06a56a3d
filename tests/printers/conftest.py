"""Fixtures shared by the printers' tests."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from printers.testing import sample_photo

# jobkit.py is shared with a worker process, which is no test.
sys.path.insert(0, str(Path(__file__).parent))


def load_golden() -> ModuleType:
    """tests/printers/golden.py, which is a command too and so no module of a package."""
    spec = importlib.util.spec_from_file_location("printers_golden", Path(__file__).parent / "golden.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def golden() -> ModuleType:
    return load_golden()


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """The sample photo as a picture, to spoil in some way."""
    return Image.open(io.BytesIO(sample_photo()))


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """Wait for something that has no event of its own; a test that waits in vain fails after a minute."""

    async def wait(done: Callable[[], object]) -> None:
        async with asyncio.timeout(60):
            while True:
                found = done()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return
                await asyncio.sleep(0.005)

    return wait
