"""People: known again by document, sealed at rest, photos made harmless."""

from __future__ import annotations

import asyncio
import io
import os
import struct
import zlib
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from readers import Address as DocumentAddress
from readers import IdDocument
from tests.listings import STRANGER, Listings
from visitor.errors import NotFound
from visitor.ids import new_id
from visitor.keys import KeyProblem, KeyRing
from visitor.people.models import Address, PersonFacts, canonical, facts_of, folded, identity_of
from visitor.people.photos import NotAPhoto, PhotoTooLarge, clean, reencode

LICENSE = IdDocument(
    kind="driver_license", issuer="TX", country="USA", number="D123 456-7", family_name="ORTEGA-RUIZ", given_name="ANA",
    middle_names=("MARIA", "LUZ"), suffix="JR", truncated=("middle_names",), birth_date=date(1990, 2, 28), sex="F",
    address=DocumentAddress(street="1 Elm St", street2="Apt 2", city="AUSTIN", region="TX", postal_code="787011234"), height_cm=160,
    eye_color="BRO",
)


def picture(size: tuple[int, int] = (1200, 900), kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 90, 40)).save(out, kind, **options)
    return out.getvalue()


def test_a_document_becomes_facts() -> None:
    facts = facts_of(LICENSE)
    assert (facts.family_name, facts.given_name, facts.middle_names, facts.suffix) == ("ORTEGA-RUIZ", "ANA", "MARIA LUZ", "JR")
    assert facts.birth_date == date(1990, 2, 28) and facts.sex == "F" and facts.height_cm == 160 and facts.eye_color == "BRO"
    assert facts.address == Address("1 Elm St Apt 2", "AUSTIN", "TX", "787011234")
    assert facts.document_number == "D123 456-7" and facts.truncated == {"middle"}
    assert facts_of(None) == PersonFacts("")


async def test_a_document_of_odd_characters_can_be_kept(lists: Listings) -> None:
    odd = msgspec.structs.replace(
        LICENSE, family_name="OR\x00TEGA\x1e\ud800 ", given_name="A" * 5000, number="D\x00\u202e1", eye_color="\x7f",
        address=DocumentAddress(street="\x00", city="AUS\nTIN"),
    )
    facts = facts_of(odd)
    async with lists.node.db.transaction() as tx:
        person = await lists.node.people.find_or_make(tx, lists.site.id, facts, None)
    assert person.family_name == "OR TEGA" and len(person.given_name) == 200
    assert (await lists.node.people.secrets(person)).address == Address("", "AUS TIN", "", "")


def test_no_repr_shows_a_personal_value() -> None:
    facts = facts_of(LICENSE)
    shown = repr(facts) + repr(facts.address) + repr(identity_of(facts, KeyRing.new().identity_key))
    for value in ("ORTEGA", "ANA", "1990", "Elm", "D123", "787011234"):
        assert value not in shown


def test_the_identity_is_the_documents_however_it_was_read() -> None:
    mac = KeyRing.new().identity_key
    first = identity_of(facts_of(LICENSE), mac)
    assert not first.weak and len(first.key) == 32
    for changes in ({"document_number": "d1234567"}, {"family_name": "RUIZ"}, {"birth_date": None}):
        assert identity_of(msgspec.structs.replace(facts_of(LICENSE), **changes), mac) == first
    for changes in ({"document_number": "D1234568"}, {"document_issuer": "OK"}):
        assert identity_of(msgspec.structs.replace(facts_of(LICENSE), **changes), mac) != first
    assert identity_of(facts_of(LICENSE), KeyRing.new().identity_key) != first, "another district's secret"


def test_without_a_document_the_identity_is_weak_and_by_name_and_birth_date() -> None:
    mac = KeyRing.new().identity_key
    first = identity_of(PersonFacts("García López", "José", birth_date=date(1980, 1, 2)), mac)
    assert first.weak
    assert identity_of(PersonFacts("GARCIA-LOPEZ", "Jose", birth_date=date(1980, 1, 2)), mac) == first
    assert identity_of(PersonFacts("GARCIA-LOPEZ", "Jose", birth_date=date(1980, 1, 3)), mac) != first
    assert identity_of(PersonFacts("", document_number="---"), mac).weak, "a number without a letter or digit is none"


@given(st.text(max_size=60))
def test_folding_never_fails_and_is_stable(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert canonical(canonical(text)) == canonical(text)


async def test_a_person_is_found_again_and_kept_as_last_seen(lists: Listings) -> None:
    people, site = lists.node.people, lists.site.id
    async with lists.node.db.transaction() as tx:
        first = await people.find_or_make(tx, site, STRANGER, reencode(picture()))
    moved = msgspec.structs.replace(STRANGER, family_name="Abernathy-Cole", address=Address("5 New St", "Waco", "TX", "76701"))
    async with lists.node.db.transaction() as tx:
        again = await people.find_or_make(tx, site, moved, None)
        elsewhere = await people.find_or_make(tx, lists.other.id, STRANGER, None)
    assert again.id == first.id and again.family_name == "Abernathy-Cole" and again.has_photo
    assert elsewhere.id != first.id and elsewhere.identity_key == first.identity_key and not elsewhere.has_photo
    secrets = await people.secrets(again)
    assert secrets.birth_date == date(1977, 3, 9) and secrets.address == Address("5 New St", "Waco", "TX", "76701")
    assert (await people.person(site, first.id)) == again
    assert (await people.photo(site, first.id) or b"")[:3] == b"\xff\xd8\xff"
    assert await people.photo(lists.other.id, elsewhere.id) is None
    with pytest.raises(NotFound):
        await people.person(lists.other.id, first.id)


async def test_nothing_sealed_is_readable_in_the_database(lists: Listings) -> None:
    facts = msgspec.structs.replace(facts_of(LICENSE), address=Address("742 Evergreen", "Springvale", "TX", "75001"))
    async with lists.node.db.transaction() as tx:
        person = await lists.node.people.find_or_make(tx, lists.site.id, facts, reencode(picture()))
        row = await tx.conn.fetchrow("select * from people where id = $1", person.id)
    whole = b"".join(v if isinstance(v, bytes) else str(v).encode() for v in row.values())
    for value in (b"1990", b"Evergreen", b"75001", b"1234567", b"123 456", b"\xff\xd8\xff", b"MARIA"):
        assert value not in whole
    kept = await lists.node.people.facts(person)
    assert kept.middle_names == "MARIA LUZ" and kept.document_number == "" and kept.document_hash
    assert kept.document_hash == lists.node.people.hashed(facts).document_hash
    assert kept.document_hash != lists.node.people.hashed(STRANGER).document_hash


async def test_secrets_moved_to_another_person_do_not_open(lists: Listings) -> None:
    async with lists.node.db.transaction() as tx:
        one = await lists.node.people.find_or_make(tx, lists.site.id, STRANGER, None)
        two = await lists.node.people.find_or_make(tx, lists.site.id, facts_of(LICENSE), None)
        await tx.conn.execute("update people set secrets = (select secrets from people where id = $1) where id = $2", one.id, two.id)
    with pytest.raises(KeyProblem):
        await lists.node.people.secrets(two)


async def test_two_check_ins_at_once_make_one_person(lists: Listings) -> None:
    async def once() -> Any:
        async with lists.node.db.transaction() as tx:
            return (await lists.node.people.find_or_make(tx, lists.site.id, STRANGER, None)).id

    assert len(set(await asyncio.gather(*(once() for _ in range(6))))) == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_a_photo_becomes_a_small_jpeg(kind: str) -> None:
    made = Image.open(io.BytesIO(await clean(picture(kind=kind))))
    assert made.format == "JPEG" and made.size == (640, 480)


def test_a_photo_is_turned_upright_and_loses_what_else_it_held() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "taken at home"
    made = Image.open(io.BytesIO(reencode(picture((800, 400), exif=exif))))
    assert made.size == (320, 640) and not made.getexif()


def test_a_transparent_photo_stands_on_white() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(out, "PNG")
    corner = Image.open(io.BytesIO(reencode(out.getvalue()))).getpixel((5, 5))
    assert isinstance(corner, tuple) and min(corner) > 250


def bomb() -> bytes:
    """A PNG of a few bytes whose head declares 60,000 × 60,000 pixels."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", NotAPhoto), (b"hello", NotAPhoto), (picture()[:400], NotAPhoto), (b"GIF89a" + bytes(40), NotAPhoto),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", NotAPhoto), (os.urandom(3000), NotAPhoto), (bomb(), PhotoTooLarge),
        (bytes(50_000_000), PhotoTooLarge),
    ],
    ids=["empty", "text", "cut short", "gif", "svg", "noise", "bomb", "50 MB"],
)
async def test_what_is_no_photo_is_refused_in_words(data: bytes, problem: type[Exception]) -> None:
    with pytest.raises(problem):
        await clean(data)


async def test_two_of_whom_nothing_is_known_are_two(lists: Listings) -> None:
    async with lists.node.db.transaction() as tx:
        made = [await lists.node.people.find_or_make(tx, lists.site.id, PersonFacts(""), None) for _ in range(2)]
    assert made[0].id != made[1].id and made[0].weak and made[1].weak


async def test_an_unknown_person_has_no_photo(lists: Listings) -> None:
    assert await lists.node.people.photo(lists.site.id, new_id()) is None


def test_a_number_that_is_none_finds_nobody_again() -> None:
    from readers import parse
    from readers.testing import license_payload
    from visitor.keys import KeyRing
    from visitor.people.models import facts_of, identity_of

    ring = KeyRing.new()
    one, two = (
        identity_of(facts_of(parse(license_payload(number="NONE", given_name=name))), ring.identity_key)  # type: ignore[arg-type]
        for name in ("ANA", "BEN")
    )
    assert one.weak and two.weak and one.key != two.key
    real = identity_of(facts_of(parse(license_payload(number="D1234567"))), ring.identity_key)  # type: ignore[arg-type]
    assert not real.weak
