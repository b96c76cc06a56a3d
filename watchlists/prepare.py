"""Entries and subjects as they are compared: rows of tokens, a bucket for the birth date, small codes for the rest."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from . import score as s
from .errors import EntryError
from .normalize import MAX_TOKEN, NameTokens, fold, name_tokens, tokens
from .records import Address, Entry, Name, Subject

HEIGHTS = range(50, 251)  # centimeters; any other is taken as not known
MAX_BIRTH_DATES = 64  # of one entry
MAX_IDS = 64  # documents of one entry
MAX_SHOWN_IDS = 8  # documents of one subject that are looked at


class Partial(NamedTuple):
    """A birth date known only to lie in some years, perhaps in a month of them (0: any)."""

    first: int
    last: int
    month: int


class Row(NamedTuple):
    """One name of an entry with one of its birth dates; `bucket` is `score.DAYS` where there is no exact day."""

    s1: str
    s2: str
    sj: str
    g1: str
    g2: str
    suffix: int
    weak: bool
    bucket: int
    partial: Partial | None
    name: int  # which of the entry's names


class Fields(NamedTuple):
    """What an entry or a subject carries besides name and birth date, as small codes; 0 and () for not known."""

    sex: int
    height: int
    eye: int
    postal: tuple[int, ...]
    regions: tuple[int, ...]
    ids: tuple[int, ...]


class PreparedEntry(NamedTuple):
    id: str
    rows: tuple[Row, ...]
    fields: Fields
    digest: bytes


class PreparedSubject(NamedTuple):
    tokens: NameTokens
    birth_date: datetime.date | None
    fields: Fields
    family_cut: bool
    given_cut: bool


_EXACT = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_MONTH = re.compile(r"(\d{4})-(\d\d)")
_YEAR = re.compile(r"(\d{4})(~?)")
_RANGE = re.compile(r"(\d{4})(?:-\d\d(?:-\d\d)?)?~?/(\d{4})(?:-\d\d(?:-\d\d)?)?~?")
ABOUT_YEARS = 2  # what "1970~" may mean, each way


def parse_birth_date(text: str) -> tuple[int, Partial | None]:
    """An EDTF level 0 birth date as (bucket, partial).

    Raises ValueError for any other shape, for a day the calendar does not have and for a year still to come.
    """
    bucket, partial = _parse(text)
    first = partial.first if partial else bucket // 372 + s.FIRST_YEAR
    if first > datetime.datetime.now(datetime.UTC).year:
        raise ValueError("lies in the future")
    return bucket, partial


def _parse(text: str) -> tuple[int, Partial | None]:
    if found := _EXACT.fullmatch(text.rstrip("~")):
        y, m, d = (int(part) for part in found.groups())
        datetime.date(y, m, d)
        bucket = s.day_bucket(y, m, d)
        if bucket < 0:
            return s.DAYS, Partial(y, y, m)
        if text.endswith("~"):
            return s.DAYS, Partial(y - ABOUT_YEARS, y + ABOUT_YEARS, 0)
        return bucket, None
    if found := _MONTH.fullmatch(text.removesuffix("~")):
        y, m = (int(part) for part in found.groups())
        if not 1 <= m <= 12:
            raise ValueError("no such month")
        if text.endswith("~"):
            return s.DAYS, Partial(y - ABOUT_YEARS, y + ABOUT_YEARS, 0)
        return s.DAYS, Partial(y, y, m)
    if found := _YEAR.fullmatch(text):
        y, about = int(found[1]), ABOUT_YEARS if found[2] else 0
        return s.DAYS, Partial(y - about, y + about, 0)
    if found := _RANGE.fullmatch(text):
        first, last = int(found[1]), int(found[2])
        if first > last:
            raise ValueError("the range ends before it begins")
        return s.DAYS, Partial(first, last, 0)
    raise ValueError("not an EDTF level 0 date")


def parse_birth_date_flat(text: str) -> tuple[int, int, int, int]:
    """`parse_birth_date` as (bucket, first year, last year, month), years 0 where there is an exact day."""
    bucket, partial = parse_birth_date(text)
    return (bucket, *partial) if partial is not None else (bucket, 0, 0, 0)


def name_rows(name: Name) -> list[tuple[str, str, str, str, str, int]]:
    """The token rows of one name: its own, and one with a given name of two words run together (Mary Ann, Xiao Ming)."""
    t = name_tokens(name.family, name.given, name.middle, name.suffix)
    out = [(t.s1, t.s2, t.sj, t.g1, t.g2, t.suffix)]
    if t.gj:
        middles = tokens(name.middle)
        out.append((t.s1, t.s2, t.sj, t.gj, middles[0] if middles else "", t.suffix))
    return out


def postal_code(text: str) -> int:
    """A ZIP code as its five digits; any other country's code as a number above 100,000 made of its letters; 0 for none."""
    bare = re.sub(r"[^0-9A-Za-z]", "", text).upper()[:12]
    if len(bare) in (5, 9) and bare.isdigit():
        return int(bare[:5]) or 0
    if not bare or not bare.isascii():
        return 0
    return 100_000 + int.from_bytes(hashlib.blake2b(bare.encode(), digest_size=4).digest(), "big") % 2_000_000_000


def region_code(text: str) -> int:
    """A state's two letters as a number from 1; 0 for anything else."""
    bare = text.strip().upper()
    if len(bare) != 2 or not bare.isascii() or not bare.isalpha():
        return 0
    return (ord(bare[0]) - 65) * 26 + ord(bare[1]) - 64


def id_hash(text: str) -> int:
    """An id hash, shortened to the 63 bits the index keeps (never 0)."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 1 or 1


def _fields(
    sex: str | None, height: int | None, eye: str | None, addresses: tuple[Address, ...], ids: tuple[str, ...]
) -> Fields:
    sex_code = 1 if sex == "M" else 2 if sex == "F" else 0  # X and unknown: neither for nor against
    if not addresses and height is None and not eye and not ids:  # most: a batch makes a digest of each match
        return Fields(sex_code, 0, 0, (), (), ())
    postal = tuple(dict.fromkeys(code for a in addresses if (code := postal_code(a.postal_code))))[:2]
    regions = tuple(dict.fromkeys(code for a in addresses if (code := region_code(a.region))))[:2]
    return Fields(
        sex_code,
        height if isinstance(height, int) and height in HEIGHTS else 0,
        s.EYE_CODES.get(eye.strip().upper(), 0) if eye else 0,
        postal,
        regions,
        tuple(sorted({id_hash(text) for text in ids})),
    )


def _flat(fields: Fields) -> tuple[int, int, int, int, int, int, tuple[int, ...]]:
    postal, regions = (*fields.postal, 0, 0), (*fields.regions, 0, 0)
    return fields.height, fields.eye, postal[0], postal[1], regions[0], regions[1], fields.ids


def entry_fields(entry: Entry) -> tuple[int, int, int, int, int, int, tuple[int, ...]]:
    """Height, eyes, two postal codes, two regions and id hashes of an entry, for the kernel."""
    return _flat(_fields(None, entry.height_cm, entry.eye_color, entry.addresses, entry.id_hashes))


def subject_fields(subject: Subject) -> tuple[int, int, int, int, int, int, tuple[int, ...]]:
    """Height, eyes, postal code, region and id hashes of a subject, for the kernel."""
    addresses = (subject.address,) if subject.address is not None else ()
    return _flat(_fields(None, subject.height_cm, subject.eye_color, addresses, subject.id_hashes[:MAX_SHOWN_IDS]))


_encode: Callable[[object], bytes] = msgspec.msgpack.Encoder(order="sorted").encode


def entry_digest(entry: Entry) -> bytes:
    """24 bytes over everything an entry says: 8 that a match's digest takes in, 16 that add up to a list's revision.

    Raises EntryError for what no index could keep whole: text that is no Unicode, numbers past 64 bits, dates or documents without end.
    """
    if len(entry.birth_dates) > MAX_BIRTH_DATES or len(entry.id_hashes) > MAX_IDS:
        many, field = (MAX_BIRTH_DATES, "birth_dates") if len(entry.birth_dates) > MAX_BIRTH_DATES else (MAX_IDS, "id_hashes")
        raise EntryError(f"more than {many} of them", entry_id=entry.id, field=field)
    encoded = _encoded(entry)
    if encoded is None:
        field = next((field for field in entry.__struct_fields__ if _encoded(getattr(entry, field)) is None), "")
        raise EntryError("holds text that is not Unicode, or a number past 64 bits", entry_id=entry.id, field=field)
    return hashlib.blake2b(encoded, digest_size=24).digest()


def _encoded(value: object) -> bytes | None:
    try:
        return _encode(value)
    except (UnicodeEncodeError, OverflowError):
        return None  # the error itself would carry the text along


def prepare_entry(entry: Entry) -> PreparedEntry:
    """An entry as it is compared. Raises EntryError for one that has no id, no name or an impossible birth date."""
    if not entry.id:
        raise EntryError("has no id")
    dates: list[tuple[int, Partial | None]] = []
    for text in entry.birth_dates:
        try:
            dates.append(parse_birth_date(text))
        except ValueError as error:
            raise EntryError(str(error), entry_id=entry.id, field="birth_dates") from None
    dates = list(dict.fromkeys(dates)) or [(s.DAYS, None)]
    rows = []
    for number, name in enumerate(entry.names):
        for found in name_rows(name):
            if any(found[:5]):
                weak = name.kind == "weak"
                rows += [Row(*found, weak, bucket, partial, number) for bucket, partial in dates]
    if not rows:
        raise EntryError("has no name with a letter in it", entry_id=entry.id, field="names")
    fields = _fields(entry.sex, entry.height_cm, entry.eye_color, entry.addresses, entry.id_hashes)
    return PreparedEntry(entry.id, tuple(rows), fields, entry_digest(entry))


def revision_of(digests: Iterable[bytes]) -> bytes:
    """A list's revision from its entries' digests, whatever their order: two sums of 64 bits."""
    low = high = 0
    for digest in digests:
        low += int.from_bytes(digest[8:16], "little")
        high += int.from_bytes(digest[16:24], "little")
    return (low % 2**64).to_bytes(8, "little") + (high % 2**64).to_bytes(8, "little")


def prepare_subject(subject: Subject) -> PreparedSubject:
    """A subject as it is compared; nothing a visitor or a scanner can say makes this raise."""
    name = subject.name
    addresses = (subject.address,) if subject.address is not None else ()
    return PreparedSubject(
        name_tokens(name.family, name.given, name.middle, name.suffix),
        subject.birth_date,
        _fields(subject.sex, subject.height_cm, subject.eye_color, addresses, subject.id_hashes[:MAX_SHOWN_IDS]),
        "family" in subject.truncated,
        "given" in subject.truncated,
    )


def subject_digest(subject: Subject, tokens: tuple[str | int, ...] | None = None) -> bytes:
    """What a subject showed, as folded for comparison, in 16 bytes: the half of a match's digest that is his.

    `tokens` are those of `name_tokens` where the caller has them from the kernel, which makes them ten times faster.
    """
    name = subject.name
    addresses = (subject.address,) if subject.address is not None else ()
    shown = (
        tokens or name_tokens(name.family, name.given, name.middle, name.suffix),
        subject.birth_date.isoformat() if subject.birth_date else "",
        _fields(subject.sex, subject.height_cm, subject.eye_color, addresses, subject.id_hashes[:MAX_SHOWN_IDS]),
    )
    return hashlib.blake2b(msgspec.msgpack.encode(shown), digest_size=16).digest()


def folded_name(name: Name) -> Name:
    """A name in A-Z, as the index keeps it."""
    cut = MAX_TOKEN * 4
    return Name(fold(name.family)[:cut], fold(name.given)[:cut], fold(name.middle)[:cut], name.suffix, name.kind)
