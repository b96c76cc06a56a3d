"""The table of evidence: every weight of the matcher, in one place, for the reference and the compiled kernel alike.

The model is Fellegi and Sunter's (JASA 64, 1969): a field's evidence is log2(m/u), m the chance to see what was seen
if visitor and entry are one person, u the chance if they are not. Everything is kept in eighths of a bit, as integers,
so that two implementations can agree exactly.

For a name's token the two are taken per *outcome*: m is the chance that a person registered as t shows exactly q
(the chance of that kind of change, over the number of ways it could have gone), u the chance that anyone shows q: the
same sum over all tokens of the registry at their own frequency, plus the chance of a name never seen there (Good and
Turing's estimate by way of Chao's count of the unseen). So SMITJ speaks for SMITH nearly as SMITH does, SMYTH hardly,
and ZYLBERSTEIN much more than either, without a rule for any of them.
"""

from __future__ import annotations

import datetime
import math
from typing import Final

UNIT: Final = 8  # scores are integers in eighths of a bit

# Imaginary rows of the general population counted with the registry's own (see names.background), and how many of them
# are born on any one day or live in any one place: what a small list can not know by itself. The more of them, the rarer
# look the names that the census of 1990 hardly knew; the fewer, the commoner look all rare names in a small list. With
# 200,000 a list of 5,000 had three times the false alerts on people of other origins (benchmarks/accuracy.py, model B),
# with 40,000 a list of 2,000 lost four in a hundred of its true visitors at 20 bits (FEBRL 2).
BACKGROUND_ROWS: Final = 100_000
BACKGROUND_A_DAY: Final = 4.0
BACKGROUND_PLACES: Final = 1_000  # entries with an address; of them one in a ZIP code, and
BACKGROUND_A_REGION: Final = 20
BACKGROUND_EYES: Final = (0, 10, 460, 140, 90, 270, 27, 1, 1, 1)  # of 1,000, by eye code; AAMVA member states' counts

# --- how a visitor's token may agree with a registered one: the levels, strongest first -----------------------------
NONE, EXACT, VARIANT, NICKNAME, EDIT1_ALIKE, EDIT1, EDIT2, CUT, ALIKE, RARE_EDIT1_ALIKE, RARE_EDIT1, RARE_EDIT2 = range(12)
LEVELS: Final = 12
RARE_SHIFT: Final = 5  # from EDIT1_ALIKE, EDIT1, EDIT2 to the same where the registered token is rare
RARE_COUNT: Final = 2  # rows that bear it at most

# level → (chance of that kind of change in a true pair, number of ways it could have gone)
FAMILY: Final = {
    EXACT: (0.85, 1.0),
    VARIANT: (0.04, 4.0),
    EDIT1_ALIKE: (0.03, 10.0),
    EDIT1: (0.05, 100.0),
    EDIT2: (0.012, 2000.0),
    ALIKE: (0.006, 50.0),  # two or three letters other, and it sounds the same: IWANOFF for IVANOV
    CUT: (0.01, 8.0),
}
GIVEN: Final = {
    EXACT: (0.80, 1.0),
    VARIANT: (0.04, 4.0),
    NICKNAME: (0.06, 3.0),
    EDIT1_ALIKE: (0.02, 10.0),
    EDIT1: (0.04, 80.0),
    EDIT2: (0.008, 1500.0),
    ALIKE: (0.004, 50.0),
    CUT: (0.01, 8.0),
}
# What may agree across the fields, where family and given name stand in each other's place: no guesses, but short forms.
FAMILY_SWAPPED: Final = {level: FAMILY[level] for level in (EXACT, VARIANT, EDIT1_ALIKE, EDIT1)}
GIVEN_SWAPPED: Final = {level: GIVEN[level] for level in (EXACT, VARIANT, NICKNAME, EDIT1_ALIKE, EDIT1)}

# The registry may be the one that is wrong: a token hardly anyone there bears, one or two edits from the one shown, is
# likely that name mistyped at registration, and how common the name shown is then counts for nothing.
REGISTERED_WRONG: Final = {EDIT1_ALIKE: (0.01, 10.0), EDIT1: (0.02, 100.0), EDIT2: (0.004, 2000.0)}

# Whether a shorter token that begins a longer one may be the longer one cut off: letters it must have.
CUT_FAMILY_MIN: Final = 7  # AAMVA D.12.3.1 cuts at the field's end; hand-cut names are seen from 8 letters up
CUT_GIVEN_MIN: Final = 3
CUT_FLAGGED_MIN: Final = 2  # the document itself says that it cut the name (DDE, DDF, DDG)

# --- single weights, in eighths of a bit ----------------------------------------------------------------------------
TOKEN_MAX: Final = 16 * UNIT  # no single token says more than 16 bits
FAMILY_MAX: Final = 20 * UNIT
FAMILY_MISS: Final = -44  # surname changed or wrongly read throughout: 2 %
GIVEN_MISS: Final = -44
SECOND_SURNAME_MISSING: Final = -8  # one side gives two surnames, the other one of them
SECOND_SURNAME_DIFFERS: Final = -24  # both give two; one agrees, the other not
SURNAMES_REVERSED: Final = -8
GIVEN_IS_MIDDLE: Final = -16  # goes by the middle name
NAMES_SWAPPED: Final = -40  # family and given in each other's field: 2 to 3 %
MIDDLE_MAX: Final = 6 * UNIT
MIDDLE_DIFFERS: Final = -24
MIDDLE_SAME_LETTER: Final = -8
MIDDLE_INITIAL_DIFFERS: Final = -20
INITIAL_M: Final = 0.95
INITIAL_MAX: Final = 5 * UNIT

DOB_MISS: Final = -64  # none of the usual slips: 1 in 250 of true pairs
YEAR_MISS: Final = -32
YEAR_M: Final = 0.95
YEAR_SPAN: Final = 60.0  # years over which births of the screened are spread, for dates of a year or a range only
SEX_AGREES: Final = 3
SEX_DIFFERS: Final = -42

WEAK_ALIAS: Final = -16  # an alias its own source calls weak (OFAC: "weak a.k.a.", broad and generic)

# Description (sex, suffix, address, height, eyes) may add to names and birth date, but never by itself make a match:
# households share an address, and a bound that holds for every row is what lets the kernel skip rows.
DESCRIPTION_MAX: Final = 10 * UNIT
SUFFIX_AGREES: Final = 24
SUFFIX_DIFFERS: Final = -24
ID_AGREES: Final = 20 * UNIT

POSTAL_M: Final = 0.60
POSTAL3_M: Final = 0.15
REGION_M: Final = 0.15
POSTAL_MAX: Final = 10 * UNIT
REGION_DIFFERS: Final = -16
POSTAL_DIFFERS: Final = -8  # another place in the same state, over the agreement of the state

HEIGHT_STEPS: Final = ((3, 13), (5, 6), (8, -4), (13, -24))  # centimetres apart at most → eighths of a bit
HEIGHT_DIFFERS: Final = -48
EYE_M: Final = 0.90
EYE_MAX: Final = 24
EYE_NEAR: Final = 0  # hazel and green, blue and gray: neither for nor against
EYE_DIFFERS: Final = -24
EYE_CODES: Final = {
    "BLK": 1, "BLACK": 1, "BRO": 2, "BROWN": 2, "BRN": 2, "HAZ": 3, "HAZEL": 3, "GRN": 4, "GREEN": 4,
    "BLU": 5, "BLUE": 5, "GRY": 6, "GRAY": 6, "GREY": 6, "MAR": 7, "MAROON": 7, "PNK": 8, "PINK": 8, "DIC": 9, "DICHROMATIC": 9,
}  # fmt: skip
EYE_NEAR_LIST: Final = ((1, 2), (2, 3), (3, 4), (5, 6), (4, 5), (4, 6), (2, 7))

CONTRADICTION: Final = -16  # a field at or under this speaks clearly against

# Given and family names go together by origin: beside HUSSEIN, MOHAMMED says little. How much less is learned from the
# registry's own rows (origins.py); without it every origin but the largest has many times the false alerts.
TOGETHER_MAX: Final = 6 * UNIT
ORIGINS: Final = 16  # latent classes of names; with 32 the results are the same, with 8 some origins share a class. In kernel.h, too
ORIGIN_LEAST: Final = 100  # rows, under which there is nothing to learn
ORIGIN_ROWS: Final = 100_000  # rows EM looks at, up to twice as many; the others are shared out once at the end
ORIGIN_ROUNDS: Final = 20
ORIGIN_PRIOR: Final = 5.0  # imaginary rows of every name, shared out as all rows are: a rare name says little of its class

# --- birth dates ----------------------------------------------------------------------------------------------------
FIRST_YEAR: Final = 1900
YEARS: Final = 136
DAYS: Final = YEARS * 372  # a bucket a day, 31 a month; bucket DAYS holds what has no exact day

# kind of slip → its chance per outcome in a true pair
DOB_SAME: Final = 0.955
DOB_SWAPPED: Final = 0.006  # day for month
DOB_YEAR: Final = 0.003  # one year off
DOB_TRANSPOSED: Final = 0.001  # two digits changed places
DOB_DIGIT: Final = 0.0006  # one digit wrong


def day_bucket(year: int, month: int, day: int) -> int:
    """The bucket of a day, or -1 for what is outside 1900-2035 or no date's shape."""
    if not (FIRST_YEAR <= year < FIRST_YEAR + YEARS and 1 <= month <= 12 and 1 <= day <= 31):
        return -1
    return (year - FIRST_YEAR) * 372 + (month - 1) * 31 + day - 1


def dob_neighbours(date: datetime.date) -> list[tuple[int, float]]:
    """Buckets a true birth date may be in, given the one shown, each with its chance; the likeliest kind first."""
    y, m, d = date.year, date.month, date.day
    wanted: list[tuple[int, int, int, float]] = [(y, m, d, DOB_SAME), (y, d, m, DOB_SWAPPED)]
    wanted += [(y - 1, m, d, DOB_YEAR), (y + 1, m, d, DOB_YEAR)]
    wanted.append((y // 100 * 100 + y % 10 * 10 + y // 10 % 10, m, d, DOB_TRANSPOSED))
    wanted.append((y, m % 10 * 10 + m // 10, d, DOB_TRANSPOSED))
    wanted.append((y, m, d % 10 * 10 + d // 10, DOB_TRANSPOSED))
    for digit in range(10):
        wanted.append((y - y % 10 + digit, m, d, DOB_DIGIT))
        wanted.append((y - y // 10 % 10 * 10 + digit * 10, m, d, DOB_DIGIT))
        wanted.append((y, m - m % 10 + digit, d, DOB_DIGIT))
        wanted.append((y, m % 10 + digit * 10, d, DOB_DIGIT))
        wanted.append((y, m, d - d % 10 + digit, DOB_DIGIT))
        wanted.append((y, m, d % 10 + digit * 10, DOB_DIGIT))
    seen: dict[int, float] = {}
    for year, month, day, chance in wanted:
        bucket = day_bucket(year, month, day)
        if bucket >= 0:
            seen.setdefault(bucket, chance)
    return list(seen.items())


def eighths(m: float, u: float) -> int:
    """log2(m/u) in eighths of a bit, rounded down."""
    return math.floor(UNIT * math.log2(m / u))


def unseen_chance(once: int, twice: int, rows: int) -> float:
    """Chance that a random person has one particular name the registry never saw, from how many names it saw once
    and twice (Good-Turing mass over Chao's count of the unseen), kept between a tenth of a row and one row."""
    estimate = 2.0 * twice / (float(once) * rows) if once else 0.5 / rows
    return max(0.1 / rows, min(1.0 / rows, estimate))


def token_weights(table: dict[int, tuple[float, float]], counts: list[int], rows: int, unseen: float, own: bool) -> list[int]:
    """For each level the weight of agreeing at it, 1 to 128 eighths, 0 where the table has no such level.

    `counts` is how many rows of the registry stand at each level from the token shown, the rare ones counted with their
    kind of edit; `own` is false where family and given name are in each other's place.
    """
    chance = unseen
    for level in range(1, RARE_EDIT1_ALIKE):
        if level in table:
            m, ways = table[level]
            chance += m / ways * counts[level] / rows
    weights = [0] * LEVELS
    for level in range(1, RARE_EDIT1_ALIKE):
        if level in table:
            m, ways = table[level]
            weights[level] = max(1, min(TOKEN_MAX, eighths(m / ways, chance)))
    for level, (m, ways) in REGISTERED_WRONG.items():
        weights[level + RARE_SHIFT] = weights[level]
        if own and weights[level]:
            weights[level + RARE_SHIFT] = max(weights[level], min(TOKEN_MAX, eighths(m / ways, RARE_COUNT / rows + unseen)))
    return weights
