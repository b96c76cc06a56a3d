"""The drawer of the bench: licenses, a passport and cards of invented people, each for one thing worth seeing."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import Any, Literal

import msgspec

from readers.testing import license_image, license_payload, passport_mrz


class Sample(msgspec.Struct, frozen=True):
    """One thing in the drawer: what it is, whose, and what it shows."""

    key: str
    kind: Literal["license", "passport", "broken"]
    holder: str
    shows: str
    payload: bytes

    def __repr__(self) -> str:
        return f"Sample({self.key})"


def _license(key: str, shows: str, **facts: Any) -> Sample:
    holder = f"{facts['given_name'].title()} {facts['family_name'].title()}"
    return Sample(key, "license", holder, shows, license_payload(**facts))


@cache
def samples() -> dict[str, Sample]:
    """The drawer by key, in the order to show it."""
    drawer = [
        _license(
            "clear", "No match: cleared at once.", family_name="CASTELLANOS", given_name="JULIA", middle_names=("MARISOL",),
            birth_date=date(1988, 4, 12), sex="F", number="40127731", street="18 ELM STREET", city="SPRINGVALE", postal_code="750120000",
            height_in=65, eye_color="brown",
        ),
        _license(
            "near", "Resembles a registry entry, born one digit apart: the desk decides.", family_name="REYES ORTEGA", given_name="DANIEL",
            birth_date=date(1985, 3, 14), sex="M", number="40188214", street="901 CEDAR AVENUE", city="SPRINGVALE", postal_code="750140000",
            height_in=70, eye_color="brown",
        ),
        _license(
            "match", "A registry entry by name, birth date and description.", family_name="HARGROVE", given_name="WENDELL",
            middle_names=("TATE",), birth_date=date(1971, 11, 2), sex="M", number="77420915", issuer="OK", street="88 MILL STREET",
            city="LAKEPORT", postal_code="730440000", height_in=74, eye_color="blue",
        ),
        _license(
            "barred", "On this district's barred list.", family_name="STRICKLAND", given_name="COLLEEN", middle_names=("ANN",),
            birth_date=date(1979, 7, 21), sex="F", number="40255190", street="5 PARK LANE", city="SPRINGVALE", postal_code="750120000",
        ),
        _license(
            "custody", "Named in a custody order.", family_name="FONTAINE", given_name="VICTOR", middle_names=("LEE",),
            birth_date=date(1983, 1, 9), sex="M", number="40311876", street="67 RIVER ROAD", city="SPRINGVALE", postal_code="750160000",
        ),
        _license(
            "expired", "Expired: held for the desk.", family_name="BRANNIGAN", given_name="OWEN", birth_date=date(1990, 9, 30), sex="M",
            number="40090042", street="41 HILL STREET", city="SPRINGVALE", postal_code="750120000", issue_date=date(2014, 5, 1),
            expiry_date=date(2020, 9, 30),
        ),
        _license(
            "long", "A very long name.", family_name="FEATHERSTONEHAUGH-MONTGOMERY", given_name="MAXIMILIANO ALEXANDER",
            middle_names=("BARTHOLOMEW",), birth_date=date(1976, 2, 3), sex="M", number="40777001", street="1200 CHURCH STREET APT 4",
            city="SPRINGVALE", postal_code="750120000",
        ),
        Sample(
            "passport", "passport", "Thi Linh Nguyen", "A passport's two lines, read by its check digits.",
            passport_mrz(
                family_name="NGUYEN", given_names="THI LINH", number="C4412098", issuer="VNM", nationality="VNM",
                birth_date=date(1984, 8, 17),
            ).encode(),
        ),
        Sample(
            "broken", "broken", "Unreadable", "A smudged barcode: the kiosk asks for another scan.",
            license_payload()[:61] + b"\x00\xff\x1d",
        ),
    ]
    return {sample.key: sample for sample in drawer}


@cache
def picture(key: str) -> bytes:
    """The PDF417 symbol of a license as a PNG, as it is on the back of the card."""
    return license_image(samples()[key].payload, scale=3)
