"""HTTP of the policies slice."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from visitor.policies.models import Purpose, PurposePolicy
from visitor.policies.service import Policies
from visitor.security import Principal


class PurposesInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    purposes: tuple[Purpose, ...]


def _shown(policy: PurposePolicy) -> dict[str, Any]:
    return {"version": policy.version, "purposes": msgspec.to_builtins(policy.purposes)}


@get("/api/v1/purposes", tags=["policies"])
async def purposes(policies: NamedDependency[Policies]) -> dict[str, Any]:
    """The purposes that a visitor may choose from, in the order to offer them."""
    return _shown(await policies.current())


@put("/api/v1/purposes", tags=["policies"])
async def set_purposes(
    data: JSONBody[PurposesInput], principal: NamedDependency[Principal], policies: NamedDependency[Policies]
) -> dict[str, Any]:
    """Put new purposes in force as the next version; visits keep the version they were decided by."""
    return _shown(await policies.replace(principal, data.purposes))


HANDLERS: list[Any] = [purposes, set_purposes]
"""For `app.create_litestar`."""
