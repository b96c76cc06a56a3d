from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date

import msgspec
import pytest

from watchlists import Name, Subject, compiled


@pytest.fixture
def kernel() -> None:
    if not compiled.available():
        pytest.skip("the compiled kernel is not installed (no C compiler at install time)")


def _typo(chance: random.Random, word: str) -> str:
    if not word:
        return word
    i = chance.randrange(len(word))
    letter = chance.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ -'5")
    return word[:i] + letter + word[i + chance.randrange(3) :]


def _garble(chance: random.Random, subject: Subject) -> Subject:
    parts = {key: getattr(subject.name, key) for key in ("family", "given", "middle", "suffix")}
    for key in ("family", "given", "middle"):
        if chance.random() < 0.4:
            parts[key] = _typo(chance, parts[key])
        if chance.random() < 0.05:
            parts[key] = ""
    if chance.random() < 0.1:
        parts["family"], parts["given"] = parts["given"], parts["family"]
    if chance.random() < 0.1:
        parts["given"] = parts["given"][: chance.choice([1, 3, 4])]
    if chance.random() < 0.1:
        parts["family"] = parts["family"].partition(" ")[2] or parts["family"]
    born = subject.birth_date
    if born is not None and chance.random() < 0.4:
        born = date(born.year + chance.choice([0, 0, 1, -1, 10]), chance.choice([born.month, 1, 12]), chance.randrange(1, 28))
    if chance.random() < 0.15:
        born = None
    changed = msgspec.structs.replace(subject, name=Name(**parts), birth_date=born)
    if chance.random() < 0.5:
        changed = msgspec.structs.replace(changed, address=None, height_cm=None, eye_color=None)
    if chance.random() < 0.1:
        changed = msgspec.structs.replace(changed, truncated=frozenset({"family", "given"}))
    return changed


@pytest.fixture
def garble() -> Callable[[random.Random, Subject], Subject]:
    """A visitor as a careless reader, typist or clerk would have him."""
    return _garble
