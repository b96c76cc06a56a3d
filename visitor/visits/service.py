"""The journey of a visit. Each step is one transaction: what changed, its audit, its print job and its notices, or nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

import asyncpg
import msgspec

import readers
from visitor import audit, db, metrics
from visitor.accounts.service import Accounts
from visitor.badges.models import BadgeRow
from visitor.badges.service import Badges
from visitor.credentials.service import Credentials
from visitor.errors import BadInput, NotFound, VisitorError
from visitor.escorts.service import Escorts
from visitor.ids import new_id
from visitor.keys import KeyRing, TokenInvalid, token_bytes
from visitor.people.models import Identity, Person, PersonFacts, facts_of
from visitor.people.photos import clean
from visitor.people.service import People
from visitor.policies import policy
from visitor.policies.models import Purpose, PurposePolicy
from visitor.policies.service import Policies
from visitor.screening.models import ScreeningRow, Verdict
from visitor.screening.service import Screening, subject_of
from visitor.security import Principal
from visitor.sites.models import Station as StationRow
from visitor.sites.service import Sites
from visitor.visits import models, store
from visitor.visits.models import CheckIn, OnSite, Status, Visit
from visitor.visits.readings import Readings
from visitor.visits.rescreening import Rescreening
from visitor.visits.scans import read_document


class Fresh(msgspec.Struct, frozen=True):
    """What a check-in has just written, for the answer: nothing of it need be read again."""

    person: Person
    facts: PersonFacts
    screening: ScreeningRow
    badge: BadgeRow | None


class _KeyTaken(Exception):
    """An earlier request came with this Idempotency-Key: what this one wrote is rolled back, and that one's visit is the answer."""


class Outcome(msgspec.Struct, frozen=True):
    """A check-in's visit, and whether this request made it or an earlier one under the same key."""

    visit: Visit
    given_name: str
    replayed: bool = False
    fresh: Fresh | None = None


class Visits:
    def __init__(
        self, database: db.Database, keys: KeyRing, sites: Sites, accounts: Accounts, people: People, screening: Screening,
        policies: Policies, credentials: Credentials, badges: Badges, escorts: Escorts, readings: Readings, rescreening: Rescreening,
    ) -> None:
        self._db = database
        self._keys = keys
        self._sites = sites
        self._accounts = accounts
        self._people = people
        self._screening = screening
        self._policies = policies
        self._credentials = credentials
        self._badges = badges
        self._escorts = escorts
        self._readings = readings
        self._rescreening = rescreening

    # ── check-in ─────────────────────────────────────────────────────────────────────────────────────────

    async def check_in(self, principal: Principal, asked: CheckIn, key: str | None = None) -> Outcome:
        """Scan → document → person → screening → decision, committed as one. See models.py for the problems it raises."""
        station = self._station(principal, asked.station_id)
        body = self._keys.digest("check-in body", msgspec.msgpack.encode(asked))
        try:
            purposes, purpose, document, photo = await self._ready(principal, station, asked)
        except VisitorError:
            # A retry of what was committed is still answered, whatever has changed or run out since.
            if key is not None and (earlier := await self._replay(principal, key, body)):
                return earlier
            raise
        facts = self._people.hashed(facts_of(document))
        identity = self._people.identity(facts)
        for _ in range(5):
            verdict = await self._screening.screen(subject_of(facts), identity)
            try:
                async with self._screening.acting() as tx:
                    outcome = await self._write(
                        tx, principal, station, asked, key, body, purposes, purpose, document, facts, identity, photo, verdict
                    )
            except _KeyTaken:
                outcome = await self._replay(principal, key or "", body)
            except asyncpg.UniqueViolationError as e:
                if e.constraint_name == "visits_one_open":
                    raise models.AlreadyOnSite("This person is checked in already. Ask the front office.") from None
                raise
            if outcome is not None:
                metrics.CHECK_INS.labels(outcome.visit.status).inc()
                return outcome
        raise models.WrongState("The lists are changing too quickly to screen against. Try again in a moment.")

    async def _ready(
        self, principal: Principal, station: StationRow, asked: CheckIn
    ) -> tuple[PurposePolicy, Purpose, readers.IdDocument | None, bytes | None]:
        """Whether the school takes visitors, what the visit is for, and who the document and the photo say it is."""
        if self._sites.state(station.site_id).state != "normal" and not principal.may(station.site_id, "desk", "admin"):
            raise models.SiteClosed("The school is not taking visitors right now. Please follow the staff's directions.")
        purposes = await self._policies.current()
        purpose = self._purpose(purposes, asked.purpose)
        await self._check_host(station.site_id, asked.host_id, purpose)
        document = await self._document(asked, station.id)
        photo_source = asked.photo if asked.photo is not None else (document.photo if document else None)
        return purposes, purpose, document, await clean(photo_source) if photo_source else None

    async def _write(
        self, tx: db.Tx, principal: Principal, station: StationRow, asked: CheckIn, key: str | None, body: bytes, purposes: PurposePolicy,
        purpose: Purpose, document: readers.IdDocument | None, facts: PersonFacts, identity: Identity, photo: bytes | None,
        verdict: Verdict,
    ) -> Outcome | None:
        """The one transaction of a check-in; None when a list moved since the screening."""
        now, site_id, visit_id = datetime.now(UTC), station.site_id, new_id()
        if not await self._screening.still_current(tx, verdict):
            return None
        person = await self._people.find_or_make(tx, site_id, facts, photo, identity)
        found = await store.queries.enter(
            tx.conn, principal=principal.actor, key_hash=None if key is None else self._key_hash(key), body_hash=body,
            visit_id=visit_id, site_id=site_id, person_id=person.id, now=now,
        )
        if not found["fresh"]:
            raise _KeyTaken
        if found["open_visit"] is not None:
            raise models.AlreadyOnSite("This person is checked in already. Ask the front office.", visit_id=str(found["open_visit"]))
        zone = self._sites.site(site_id).zone_info
        known = purpose.escort == "unless-known" and not identity.weak and found["was_here"]
        state = self._sites.state(site_id).state
        # A name typed without a document's number is what somebody says of themselves, not an ID.
        shown = document if asked.document is None or asked.document.number else None
        decision = policy.decide(purpose, verdict, policy.DocumentFacts.of(shown), state, now, zone, known=known)
        held = decision if isinstance(decision, policy.Held) else None
        plan = policy.plan(purpose, now, zone, known=known)
        visit = Visit(
            site_id=site_id, id=visit_id, person_id=person.id, station_id=station.id, host_id=asked.host_id, purpose=purpose.key,
            policy_id=purposes.id, status="held", held_reason=held.reason if held else "", document=models.document_facts(shown),
            zones=self._sites.zones_named(site_id, purpose.zones), escort_required=plan.escort_required, checked_in_at=now,
            valid_until=plan.valid_until, decided_at=None, decided_by="", decision_reason="", ended_at=None, ended_by="",
        )
        if isinstance(decision, policy.Refused):
            visit = msgspec.structs.replace(visit, status="refused", decided_at=now, decided_by="policy", decision_reason=decision.reason)
        elif held is None:
            visit = _admitted(visit, "system", "cleared by policy")
        await store.add(tx.later, visit)
        screening = await self._screening.record(tx, site_id, visit_id, verdict)
        await audit.record(
            tx, site_id, principal.actor, "visit.checked_in", visit_id,
            purpose=purpose.key, policy=purposes.version, document=visit.document["kind"], held=visit.held_reason,
        )
        badge = await self._grant(tx, visit, "system") if visit.status in models.PRESENT else None
        tx.notify("visits", site_id, visit_id)
        return Outcome(visit, facts.given_name or "", fresh=Fresh(person, facts, screening, badge))

    async def _grant(self, tx: db.Tx, visit: Visit, actor: str) -> BadgeRow:
        """What an approved visit gets: badge, print job, credential, and an escort asked where one is needed."""
        station = self._sites.station(visit.station_id)
        badge = await self._badges.issue(
            tx, site_id=visit.site_id, visit_id=visit.id, station=station, expires_at=visit.valid_until, actor=actor
        )
        await self._credentials.issue_for_visit(
            tx, site_id=visit.site_id, visit_id=visit.id, badge_id=badge.id, zones=visit.zones, valid_until=visit.valid_until,
            escorted=visit.escort_required, issued_by=actor,
        )
        if visit.escort_required:
            await self._escorts.ask(tx, visit.site_id, visit.id, await self._host_who_may_escort(tx, visit), actor=actor)
        await audit.record(tx, visit.site_id, actor, "visit.approved", visit.id, status=visit.status)
        return badge

    async def _host_who_may_escort(self, tx: db.Tx, visit: Visit) -> UUID | None:
        """The host is asked first; a host who may not escort leaves it to anyone who may."""
        if visit.host_id is None:
            return None
        try:
            host = await self._accounts.staff_member(visit.host_id, tx.conn)
        except NotFound:
            return None
        return host.id if host.may_escort and host.site_id == visit.site_id else None

    async def _document(self, asked: CheckIn, station_id: UUID) -> readers.IdDocument | None:
        if (asked.scan is None) == (asked.document is None):
            raise BadInput("Send either a scan or a document.")
        if asked.document is not None:
            return asked.document.document()
        assert asked.scan is not None
        if asked.scan.reading_id is not None:
            return self._readings.document(station_id, asked.scan.reading_id)
        return await read_document(asked.scan)

    def _station(self, principal: Principal, station_id: UUID) -> StationRow:
        station = self._sites.station(station_id)
        if principal.kind == "station":
            if principal.id != station_id:
                raise models.WrongStation("This device is paired as another station. Pair it again at the desk.")
        else:
            principal.require(station.site_id, "desk", "admin")
        return station

    @staticmethod
    def _purpose(purposes: PurposePolicy, key: str) -> Purpose:
        for purpose in purposes.purposes:
            if purpose.key == key:
                return purpose
        known = ", ".join(p.key for p in purposes.purposes)
        raise models.UnknownPurpose(f"There is no such purpose. Known: {known}." if known else "No purposes are set up yet.")

    async def _check_host(self, site_id: UUID, host_id: UUID | None, purpose: Purpose) -> None:
        if host_id is None:
            if purpose.host_required:
                raise models.UnknownHost("Say whom the visitor comes to see.")
            return
        try:
            host = await self._accounts.staff_member(host_id)
        except NotFound:
            host = None
        if host is None or host.site_id != site_id or not host.may_host:
            raise models.UnknownHost("There is no such host at this school. Choose one from the list.")

    # ── retries ──────────────────────────────────────────────────────────────────────────────────────────

    def _key_hash(self, key: str) -> bytes:
        if not 1 <= len(key) <= 200:
            raise BadInput("An Idempotency-Key has 1 to 200 characters.")
        return self._keys.digest("idempotency key", key.encode())

    async def _replay(self, principal: Principal, key: str, body: bytes) -> Outcome | None:
        async with self._db.connection() as conn:
            return await self._replayed(conn, principal, key, body)

    async def _replayed(self, conn: db.Connection, principal: Principal, key: str, body: bytes) -> Outcome | None:
        row = await store.queries.key(conn, principal=principal.actor, key_hash=self._key_hash(key))
        if row is None:
            return None
        if row["body_hash"] != body:
            raise models.KeyReused("This Idempotency-Key was used for another request. Make a new key for each check-in.")
        visit = await store.visit(conn, row["visit_id"])
        if visit is None:
            return None
        person = await self._people.person(visit.site_id, visit.person_id)
        return Outcome(visit, person.given_name, replayed=True)

    # ── decisions ────────────────────────────────────────────────────────────────────────────────────────

    async def approve(self, principal: Principal, visit_id: UUID, reason: str) -> Visit:
        """Let a held visitor in. Raises ScreeningUndecided while a possible match is open, WrongState when not held."""
        reason = _reason(reason)
        await self.get(principal, visit_id, "desk", "admin")
        await self._rescreening.again(visit_id)  # the lists may have changed, or come back, while the visitor waited
        async with self._db.transaction() as tx:
            visit = await self._locked(tx, principal, visit_id, "on_site")
            screening = await self._screening.latest(visit.site_id, visit.id, tx.conn)
            if screening.undecided:
                raise models.ScreeningUndecided("Decide the possible match before approving the visit.")
            if screening.outcome == "confirmed":
                raise models.WrongState("A match was confirmed for this visitor. The visit can only be refused.")
            visit = msgspec.structs.replace(visit, valid_until=await self._fresh_until(visit))
            visit = _admitted(visit, principal.actor, reason)
            await store.queries.decide(
                tx.conn, site_id=visit.site_id, id=visit.id, status=visit.status, held_reason="", zones=visit.zones,
                escort_required=visit.escort_required, valid_until=visit.valid_until, now=visit.decided_at,
                actor=principal.actor, reason=reason,
            )
            await self._grant(tx, visit, principal.actor)
            tx.notify("visits", visit.site_id, visit.id)
        return visit

    async def _fresh_until(self, visit: Visit) -> datetime:
        """A visit's time runs from the decision, not from the wait for it."""
        purposes = await self._policies.version(visit.policy_id)
        purpose = self._purpose(purposes, visit.purpose)
        return policy.plan(purpose, datetime.now(UTC), self._sites.site(visit.site_id).zone_info).valid_until

    async def refuse(self, principal: Principal, visit_id: UUID, reason: str) -> Visit:
        return await self._end(principal, visit_id, "refused", _reason(reason))

    async def cancel(self, principal: Principal, visit_id: UUID, reason: str) -> Visit:
        return await self._end(principal, visit_id, "cancelled", _reason(reason))

    async def remove(self, principal: Principal, visit_id: UUID, reason: str) -> Visit:
        """The visitor was sent or led away."""
        return await self._end(principal, visit_id, "removed", _reason(reason))

    async def _end(self, principal: Principal, visit_id: UUID, status: Status, reason: str) -> Visit:
        async with self._db.transaction() as tx:
            visit = await self._locked(tx, principal, visit_id, status)
            now = datetime.now(UTC)
            await store.queries.decide(
                tx.conn, site_id=visit.site_id, id=visit.id, status=status, held_reason="", zones=visit.zones,
                escort_required=visit.escort_required, valid_until=visit.valid_until, now=now, actor=principal.actor, reason=reason,
            )
            return await self._finish(tx, visit, status, principal.actor)

    async def _finish(self, tx: db.Tx, visit: Visit, status: Status, actor: str) -> Visit:
        """End a visit: badge void, credential and escort ended, in this transaction."""
        now = datetime.now(UTC)
        await store.queries.finish(tx.conn, site_id=visit.site_id, id=visit.id, status=status, now=now, actor=actor)
        await self._badges.void(tx, visit.site_id, visit.id, status, actor=actor)
        await self._credentials.end(tx, visit.site_id, visit.id, status, actor=actor)
        await self._escorts.end(tx, visit.site_id, visit.id, actor=actor)
        await audit.record(tx, visit.site_id, actor, f"visit.{status}", visit.id)
        tx.notify("visits", visit.site_id, visit.id)
        return msgspec.structs.replace(visit, status=status, ended_at=now, ended_by=actor)

    async def accept_escort(self, principal: Principal, visit_id: UUID, staff_id: UUID) -> Visit:
        """A member of staff takes charge: the visitor is on site and the credential lives from here."""
        async with self._db.transaction() as tx:
            visit = await self._locked(tx, principal, visit_id, None, "hall", "desk", "admin")
            if visit.status != "awaiting_escort":
                raise models.WrongState("This visitor does not wait for an escort.")
            screening = await self._screening.latest(visit.site_id, visit.id, tx.conn)
            if screening.undecided or screening.outcome == "confirmed":
                # A list changed while the visitor waited: nobody is led in past it.
                raise models.ScreeningUndecided("This visitor possibly matches an entry of a list. The front office decides first.")
            await self._escorts.accept(tx, visit.site_id, visit.id, staff_id, actor=principal.actor)
            await store.queries.set_status(tx.conn, site_id=visit.site_id, id=visit.id, status="on_site")
            await self._credentials.activate(tx, visit.site_id, visit.id, actor=principal.actor)
            await audit.record(tx, visit.site_id, principal.actor, "visit.escorted", visit.id, staff=staff_id)
            tx.notify("visits", visit.site_id, visit.id)
        return msgspec.structs.replace(visit, status="on_site")

    async def check_out(self, principal: Principal, visit_id: UUID) -> Visit:
        async with self._db.transaction() as tx:
            visit = await self._locked(tx, principal, visit_id, None, "station", "desk", "admin")
            if visit.status not in models.PRESENT:
                raise models.NotOnSite("This visitor is not here: the visit is over or was never approved.")
            return await self._finish(tx, visit, "checked_out", principal.actor)

    async def check_out_by_badge(
        self, principal: Principal, station_id: UUID, token: str, reading_id: UUID | None = None
    ) -> tuple[Visit, str]:
        """A visitor scans the badge at a station and leaves; the given name is for the farewell."""
        station = self._station(principal, station_id)
        if reading_id is not None:
            token = self._readings.badge(station.id, reading_id)
        visit_id = await self.of_token(token, station.site_id)
        visit = await self.check_out(principal, visit_id)
        person = await self._people.person(visit.site_id, visit.person_id)
        return visit, person.given_name

    def reading_kind(self, principal: Principal, station_id: UUID, reading_id: UUID) -> tuple[str, str]:
        """What a reader of this node read for a station: (document | badge | other | problem, a sentence for the visitor)."""
        kept = self._readings.look(self._station(principal, station_id).id, reading_id)
        return kept.kind, kept.problem

    async def of_token(self, token: str, site_id: UUID) -> UUID:
        """The visit of a badge's token. Raises NotOnSite for any token that is no badge of this site."""
        try:
            claims = self._keys.verify(token_bytes(token))
        except TokenInvalid:
            raise models.NotOnSite("That is not a badge of this school.") from None
        if claims.kind != "badge" or claims.site_id != site_id:
            raise models.NotOnSite("That is not a badge of this school.")
        visit_id = await self.by_badge(claims.id)
        if visit_id is None:
            raise models.NotOnSite("This badge belongs to no visit.")
        return visit_id

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────

    async def get(self, principal: Principal, visit_id: UUID, *roles: str) -> Visit:
        """A visit that the caller may see. Raises NotFound for another school's."""
        async with self._db.connection() as conn:
            visit = await store.visit(conn, visit_id)
        if visit is None:
            raise NotFound("There is no such visit at a school of yours.")
        principal.require(visit.site_id, *roles)  # type: ignore[arg-type]
        return visit

    async def listed(
        self, principal: Principal, site_id: UUID | None, statuses: list[Status] | None, before: datetime | None = None, limit: int = 200
    ) -> list[Visit]:
        if site_id is not None:
            self._sites.site(site_id)
            principal.require(site_id, "desk", "admin")
            sites: frozenset[UUID] | None = frozenset({site_id})
        else:
            sites = principal.sites("desk", "admin")
        async with self._db.connection() as conn:
            return await store.listed(conn, sites, statuses, before, min(max(limit, 1), 1000))

    async def open_at(self, site_id: UUID) -> list[OnSite]:
        """Everyone whose visit is open here, held ones included. The caller checks who asks."""
        async with self._db.connection() as conn:
            return await store.on_site(conn, site_id, models.OPEN)

    async def by_badge(self, badge_id: UUID) -> UUID | None:
        async with self._db.connection() as conn:
            found: UUID | None = await store.queries.visit_of_badge(conn, badge_id=badge_id)
        return found

    async def _locked(self, tx: db.Tx, principal: Principal, visit_id: UUID, to: Status | None, *roles: str) -> Visit:
        visit = await store.visit(tx.conn, visit_id, lock=True)
        if visit is None:
            raise NotFound("There is no such visit at a school of yours.")
        principal.require(visit.site_id, *(roles or ("desk", "admin")))  # type: ignore[arg-type]
        if to is not None and not models.may_follow(visit.status, to):
            raise models.WrongState(f"The visit is {visit.status.replace('_', ' ')}; that is not possible now.")
        return visit

    # ── the end of the day ───────────────────────────────────────────────────────────────────────────────

    async def end_day(self, today: datetime | None = None) -> int:
        """End visits that nobody ended on their local day: presumed left, or cancelled when never decided. Returns how many."""
        count = 0
        for site in self._sites.schools():
            local = (today or datetime.now(UTC)).astimezone(site.zone_info)
            midnight = datetime.combine(local.date(), datetime.min.time(), site.zone_info).astimezone(UTC)
            async with self._db.connection() as conn:
                left = [row["id"] async for row in store.queries.left_over(conn, site_id=site.id, midnight=midnight)]
            for visit_id in left:
                async with self._db.transaction() as tx:
                    visit = await store.visit(tx.conn, visit_id, lock=True)
                    if visit is None or visit.status not in models.OPEN:
                        continue
                    status: Status = "presumed_left" if visit.status in ("on_site", "awaiting_escort") else "cancelled"
                    await self._finish(tx, visit, status, "system")
                    count += 1
        async with self._db.transaction() as tx:
            cutoff = datetime.combine(date.today(), datetime.min.time(), UTC)  # noqa: DTZ011  a day's slack does not matter
            await store.queries.purge_keys(tx.conn, before=cutoff)
        return count


def _admitted(visit: Visit, actor: str, reason: str) -> Visit:
    """A visit as it is once approved at the front office."""
    status: Status = "awaiting_escort" if visit.escort_required else "on_site"
    return msgspec.structs.replace(
        visit, status=status, held_reason="", decided_at=datetime.now(UTC), decided_by=actor, decision_reason=reason
    )


def _reason(text: str) -> str:
    text = " ".join(text.split())
    if not text:
        raise models.ReasonMissing("Give a reason; it is kept with the decision.")
    if len(text) > 500:
        raise BadInput("Give the reason in at most 500 characters.")
    return text
