"""Fictitious registries for tests and demonstrations: invented people only, the same ones for the same seed.

Names are drawn from small lists of our own (`data/testing_names.toml`: common given names and surnames by origin) with
frequencies that fall off as real ones do, so that a registry has its Smiths and its once-only names.
"""

from __future__ import annotations

import datetime
import functools
import importlib.resources
import random
import tomllib
from collections.abc import Iterator
from typing import Any

from .records import Address, Entry, Name, Sex, Subject

_SHARES = {"english": 56, "african_american": 12, "spanish": 18, "arabic": 3, "slavic": 3, "east_asian": 4, "vietnamese": 4}
_EYES = ("BRO", "BLU", "HAZ", "GRN", "GRY", "BLK")
_EYE_SHARES = (46, 27, 14, 9, 3, 1)
_STREETS = ("Oak", "Maple", "Cedar", "Main", "Park", "Lake", "Hill", "Church", "River", "Mill", "Second", "Walnut")
_CITIES = (("Springvale", "TX", 750), ("Fort Amber", "TX", 761), ("Lakeport", "OK", 730), ("Red Mesa", "NM", 871), ("Marlow", "LA", 711))


@functools.cache
def _lists() -> dict[str, Any]:
    text = importlib.resources.files(__package__).joinpath("data/testing_names.toml").read_text("utf-8")
    return tomllib.loads(text)


def _pick(chance: random.Random, words: list[str]) -> str:
    """One of `words`, the earlier ones likelier (Zipf)."""
    weights = [1 / (rank + 4) for rank in range(len(words))]
    return chance.choices(words, weights)[0]


def _invented_surname(chance: random.Random) -> str:
    parts = _lists()["parts"]
    return str(chance.choice(parts["first"]) + chance.choice(parts["middle"]) + chance.choice(parts["last"])).capitalize()


def _name(chance: random.Random, sex: Sex) -> Name:
    origin = chance.choices(list(_SHARES), list(_SHARES.values()))[0]
    of = _lists()[origin]
    given = of["male" if sex == "M" else "female"]
    family = _pick(chance, of["family"])
    if origin == "spanish" and chance.random() < 0.5:
        family += " " + _pick(chance, of["family"])
    elif origin in ("english", "african_american") and chance.random() < 0.35:
        family = _invented_surname(chance)
    first = _pick(chance, given)
    middle = _pick(chance, given) if chance.random() < 0.75 else ""
    suffix = chance.choice(("Jr", "Sr", "II", "III")) if sex == "M" and chance.random() < 0.05 else ""
    return Name(family, first, middle if middle != first else "", suffix)


def entries(count: int, seed: int = 1, prefix: str = "F") -> Iterator[Entry]:
    """`count` invented registry entries with ids `F-000001` and so on: names, aliases, addresses and descriptions."""
    chance = random.Random(seed)  # noqa: S311 - invented people need no cryptographic chance
    for number in range(1, count + 1):
        sex: Sex = "M" if chance.random() < 0.88 else "F"
        primary = _name(chance, sex)
        names = [primary]
        if chance.random() < 0.3:
            other = _name(chance, sex)
            names.append(Name(primary.family, other.given, primary.middle, "", "alias"))
        if chance.random() < 0.1:
            names.append(Name(_invented_surname(chance), primary.given, "", "", "alias"))
        born = datetime.date(1942, 1, 1) + datetime.timedelta(chance.randrange(365 * 62))
        city, state, zip3 = chance.choice(_CITIES)
        address = Address(
            f"{chance.randrange(1, 9900)} {chance.choice(_STREETS)} St", city, state, f"{zip3}{chance.randrange(100):02d}", "US"
        )
        dates = (born.isoformat(),) if chance.random() < 0.97 else (str(born.year),)
        yield Entry(
            id=f"{prefix}-{number:06d}",
            names=tuple(names),
            birth_dates=dates,
            sex=sex,
            addresses=(address,),
            height_cm=round(chance.gauss(177 if sex == "M" else 163, 7)),
            eye_color=chance.choices(_EYES, _EYE_SHARES)[0],
            category="fictitious",
        )


def subject_of(entry: Entry) -> Subject:
    """The visitor an entry describes, as his own license would show him."""
    date = next((datetime.date.fromisoformat(text) for text in entry.birth_dates if len(text) == 10), None)
    return Subject(
        entry.names[0],
        date,
        entry.sex,
        entry.addresses[0] if entry.addresses else None,
        entry.height_cm,
        entry.eye_color,
        entry.id_hashes,
    )


def subjects(count: int, seed: int = 2) -> Iterator[Subject]:
    """`count` invented visitors, of the same mixture of names and in no registry."""
    for entry in entries(count, seed=seed * 7919 + 13, prefix="V"):
        yield subject_of(entry)
