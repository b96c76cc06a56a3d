"""Finding a person again, and keeping what is known of one sealed."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from visitor import db
from visitor.errors import NotFound
from visitor.ids import new_id
from visitor.keys import KeyRing
from visitor.people import store
from visitor.people.models import Identity, Person, PersonFacts, PersonSecrets, canonical, folded, identity_of
from watchlists.sources import canonical_id, keyed_hash


class People:
    def __init__(self, database: db.Database, keys: KeyRing) -> None:
        self._db = database
        self._keys = keys
        self._hash_id = keyed_hash(keys.registry_key())

    def identity(self, facts: PersonFacts) -> Identity:
        """By document where there is one, else by name and birth date and weak; of whom nothing is known, never twice the same."""
        if not any((canonical(facts.document_number), folded(facts.family_name), folded(facts.given_name))):
            return Identity(secrets.token_bytes(32), weak=True)
        return identity_of(facts, self._keys.identity_key)

    def hashed(self, facts: PersonFacts) -> PersonFacts:
        """The facts with the keyed hash of the document's number, as `registries` keeps those of entries."""
        number = canonical_id(facts.document_number)
        return msgspec.structs.replace(facts, document_hash=self._hash_id(number)) if number else facts

    async def find_or_make(
        self, tx: db.Tx, site_id: UUID, facts: PersonFacts, photo: bytes | None, identity: Identity | None = None
    ) -> Person:
        """The person of these facts at a site, with the facts as they are now. `photo` has passed `photos.clean`.

        `identity` where the caller has it already; the facts have then passed `hashed`.
        """
        if identity is None:
            facts = self.hashed(facts)
            identity = self.identity(facts)
        sealed = msgspec.msgpack.encode(
            msgspec.structs.replace(facts, document_number="", document_issuer="", family_name="", given_name="")
        )
        return await store.keep(
            tx.conn, site_id=site_id, id=new_id(), identity_key=identity.key, weak=identity.weak, family_name=facts.family_name,
            given_name=facts.given_name, secrets=self._keys.seal(sealed, _place("secrets", site_id, identity.key)),
            photo=self._seal_photo(photo, site_id, identity.key), kid=self._keys.kid, now=datetime.now(UTC),
        )

    async def person(self, site_id: UUID, person_id: UUID) -> Person:
        """Raises NotFound."""
        async with self._db.connection() as conn:
            found = await store.person(conn, site_id, person_id)
        if found is None:
            raise NotFound("There is no such person at this school.")
        return found

    async def facts(self, person: Person) -> PersonFacts:
        """All that is kept of a person, opened; without the document's number, of which only a hash is kept."""
        async with self._db.connection() as conn:
            sealed = await store.secrets(conn, person.site_id, person.id)
        return self._opened(person, *(sealed or (None, "")))

    async def many(self, keys: Iterable[tuple[UUID, UUID]]) -> dict[UUID, tuple[Person, PersonFacts]]:
        """The people of these (site, id) with their facts, by id, in one query; who is not there is left out."""
        async with self._db.connection() as conn:
            found = await store.people_of(conn, sorted(set(keys)))
        return {person.id: (person, self._opened(person, sealed, kid)) for person, sealed, kid in found}

    def _opened(self, person: Person, sealed: bytes | None, kid: str) -> PersonFacts:
        if sealed is None:
            return PersonFacts(person.family_name, person.given_name)
        opened = self._keys.open(sealed, kid, _place("secrets", person.site_id, person.identity_key))
        facts = msgspec.msgpack.decode(opened, type=PersonFacts)
        return msgspec.structs.replace(facts, family_name=person.family_name, given_name=person.given_name)

    async def secrets(self, person: Person) -> PersonSecrets:
        """Birth date and address, for the desk."""
        facts = await self.facts(person)
        return PersonSecrets(facts.birth_date, facts.address)

    async def photo(self, site_id: UUID, person_id: UUID) -> bytes | None:
        """The JPEG, or None where no photo was taken."""
        async with self._db.connection() as conn:
            found = await store.photo(conn, site_id, person_id)
        if found is None:
            return None
        identity_key, value = found
        kid, _, sealed = value.partition(b"\0")
        return self._keys.open(sealed, kid.decode("ascii"), _place("photo", site_id, identity_key))

    def _seal_photo(self, photo: bytes | None, site_id: UUID, identity_key: bytes) -> bytes | None:
        # The photo carries its own key id: it may be older than the row's other secrets.
        if photo is None:
            return None
        return self._keys.kid.encode("ascii") + b"\0" + self._keys.seal(photo, _place("photo", site_id, identity_key))


def _place(what: str, site_id: UUID, identity_key: bytes) -> str:
    """Where a ciphertext belongs: site and identity key name the row before its id is known."""
    return f"people.{what}:{site_id}:{identity_key.hex()}"
