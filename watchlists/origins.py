"""Given and family names go together by origin: among the Husseins one in ten is a Mohammed, so MOHAMMED adds little to
HUSSEIN. How much less it adds is learned here, for every row of a registry, from that registry's rows alone.

The model is Hofmann's aspect model (UAI 1999): a registry's names are a mixture of a few latent classes, in each of which
surnames and given names are independent, and EM finds them; nobody says what the classes are, and none has a name. The kernel
does the same in `kernel/origins.c`, sum for sum in the same order, so that both agree in every bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from . import score as s

_Shares = list[float]  # one number a class
_Names = tuple[str, str, str]  # first surname, given name, middle name or "" where there is none that says anything
_ALL = (1 << 64) - 1


def worth_less(rows: Sequence[_Names]) -> list[int]:
    """For each row (first surname, given name, middle name) what its given name's agreement is worth less beside its
    surname's, in eighths of a bit: 0 to `score.TOGETHER_MAX`. A row's own names do not count as company for each other.
    """
    whole = [(surname, given, middle if len(middle) > 1 else "") for surname, given, middle in rows if surname and given]
    if len(whole) < s.ORIGIN_LEAST:
        return [0] * len(rows)
    model = _Model(whole[:: max(1, len(whole) // s.ORIGIN_ROWS)])
    model.admit(whole)
    _, by_surname, by_given = model.counted(whole)
    counts = Counter(surname for surname, _, _ in whole)
    lifts = _lifts(by_given, _given_counts(whole), model.classes)

    def less(names: _Names) -> int:
        own, of = model.responsibility(names), by_surname[names[0]]
        others = [n - o + s.ORIGIN_PRIOR * c for n, o, c in zip(of, own, model.classes, strict=True)]
        together = _total([a * b for a, b in zip(others, lifts[names[1]], strict=True)])
        return min(s.TOGETHER_MAX, max(0, s.eighths(together / (counts[names[0]] - 1 + s.ORIGIN_PRIOR), 1.0)))

    known = map(less, whole)
    return [next(known) if surname and given else 0 for surname, given, _ in rows]


class _Model:
    """P(class), P(class | surname), and P(given | class) / P(given), as EM finds them in a sample of rows."""

    def __init__(self, sample: list[_Names]) -> None:
        counts, given_counts = Counter(surname for surname, _, _ in sample), _given_counts(sample)
        self.classes: _Shares = [1.0 / s.ORIGINS] * s.ORIGINS
        self.shares = dict.fromkeys(counts, self.classes)
        self.lifts = {word: _beginning(word) for word in given_counts}
        for _ in range(s.ORIGIN_ROUNDS):
            sums, by_surname, by_given = self.counted(sample)
            self.classes = [(n + 1.0) / (len(sample) + s.ORIGINS) for n in sums]
            self.shares = {
                word: [(n + s.ORIGIN_PRIOR * c) / (counts[word] + s.ORIGIN_PRIOR) for n, c in zip(of, self.classes, strict=True)]
                for word, of in by_surname.items()
            }
            self.lifts = _lifts(by_given, given_counts, self.classes)

    def admit(self, rows: Iterable[_Names]) -> None:
        """Names that were not in the sample: nothing is known of them."""
        for surname, given, middle in rows:
            self.shares.setdefault(surname, self.classes)
            for word in (given, middle):
                self.lifts.setdefault(word, [1.0] * s.ORIGINS)

    def counted(self, rows: Iterable[_Names]) -> tuple[_Shares, dict[str, _Shares], dict[str, _Shares]]:
        """The rows shared out among the classes and summed: over all, by surname, by given name."""
        sums = [0.0] * s.ORIGINS
        by_surname: dict[str, _Shares] = {}
        by_given: dict[str, _Shares] = {}
        for names in rows:
            own = self.responsibility(names)
            surname, given, middle = names
            sums = _added(sums, own)
            for of, word in ((by_surname, surname), (by_given, given), (by_given, middle)):
                if word:
                    of[word] = _added(of[word], own) if word in of else own
        return sums, by_surname, by_given

    def responsibility(self, names: _Names) -> _Shares:
        """P(class | the row's names)."""
        surname, given, middle = names
        own = [a * b for a, b in zip(self.shares[surname], self.lifts[given], strict=True)]
        if middle:
            own = [a * b for a, b in zip(own, self.lifts[middle], strict=True)]
        total = _total(own)
        return [one / total for one in own]


def _given_counts(rows: Iterable[_Names]) -> Counter[str]:
    return Counter(word for _, given, middle in rows for word in (given, middle) if word)


def _lifts(by_given: dict[str, _Shares], counts: Counter[str], classes: _Shares) -> dict[str, _Shares]:
    return {
        word: [(n + s.ORIGIN_PRIOR * c) / (counts[word] + s.ORIGIN_PRIOR) / c for n, c in zip(of, classes, strict=True)]
        for word, of in by_given.items()
    }


def _added(a: _Shares, b: _Shares) -> _Shares:
    return [one + other for one, other in zip(a, b, strict=True)]


def _total(numbers: _Shares) -> float:
    """The sum, by halves: an order that no compiler has reason to change."""
    while len(numbers) > 1:
        half = len(numbers) // 2
        numbers = _added(numbers[:half], numbers[half:])
    return numbers[0]


def _beginning(word: str) -> _Shares:
    """Where EM starts: no class says much of any name, and no two the same. Made from the letters (kernel.h: hash_word), so
    that one registry always leads to the same classes."""
    value = (1469598103934665603 + len(word)) & _ALL
    for letter in word.encode():
        value = (value ^ letter) * 1099511628211 & _ALL
    value = _mixed(value)
    return [0.5 + (_mixed((value + k) & _ALL) >> 11) / 2.0**53 for k in range(s.ORIGINS)]


def _mixed(value: int) -> int:
    for _ in range(2):
        value = (value ^ value >> 32) * 0xD6E8FEB86659FD93 & _ALL
    return value ^ value >> 32
