"""Fixtures of the service's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.door_school import School
from tests.listings import Listings


@pytest.fixture
async def school(node: Any, client: Any) -> AsyncIterator[School]:
    yield await School(node, client).build()


@pytest.fixture
async def lists(node: Any, tmp_path: Path) -> AsyncIterator[Listings]:
    made = await Listings(node, tmp_path).build()
    yield made
    await made.close()
