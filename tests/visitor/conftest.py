"""Fixtures of the service's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.door_school import School


@pytest.fixture
async def school(node: Any, client: Any) -> AsyncIterator[School]:
    yield await School(node, client).build()
