-- name: enter^
-- Whether this check-in may go on: its key is its own (who holds the same one in another transaction is waited for), and the
-- person has no open visit. `was_here`: an earlier visit went well; somebody who was only ever refused is not known.
-- The person's row was written before by this transaction, so of two check-ins of one person the second sees the first.
with taken as (
  insert into idempotency_keys (principal, key_hash, body_hash, visit_id, site_id, created_at)
  select :principal::text, :key_hash::bytea, :body_hash::bytea, :visit_id::uuid, :site_id::uuid, :now::timestamptz
  where :key_hash::bytea is not null
  on conflict (principal, key_hash) do nothing
  returning visit_id
)
select :key_hash::bytea is null or exists (select from taken) as fresh,
  (select id from visits where site_id = :site_id and person_id = :person_id
     and status in ('held', 'approved', 'awaiting_escort', 'on_site')) as open_visit,
  exists (select from visits where site_id = :site_id and person_id = :person_id and status in ('checked_out', 'presumed_left')) as was_here;

-- name: key^
select body_hash, visit_id, site_id from idempotency_keys where principal = :principal and key_hash = :key_hash;

-- name: purge_keys!
delete from idempotency_keys where created_at < :before;

-- name: add!
insert into visits (site_id, id, person_id, station_id, host_id, purpose, policy_id, status, held_reason, document, zones,
  escort_required, checked_in_at, valid_until, decided_at, decided_by, decision_reason)
values (:site_id, :id, :person_id, :station_id, :host_id, :purpose, :policy_id, :status, :held_reason, :document, :zones,
  :escort_required, :checked_in_at, :valid_until, :decided_at, :decided_by, :decision_reason);

-- name: visit^
select site_id, id, person_id, station_id, host_id, purpose, policy_id, status, held_reason, document, zones, escort_required,
  checked_in_at, valid_until, decided_at, decided_by, decision_reason, ended_at, ended_by
from visits where id = :id;

-- name: visit_for_update^
select site_id, id, person_id, station_id, host_id, purpose, policy_id, status, held_reason, document, zones, escort_required,
  checked_in_at, valid_until, decided_at, decided_by, decision_reason, ended_at, ended_by
from visits where id = :id for update;

-- name: listed
select site_id, id, person_id, station_id, host_id, purpose, policy_id, status, held_reason, document, zones, escort_required,
  checked_in_at, valid_until, decided_at, decided_by, decision_reason, ended_at, ended_by
from visits
where (:sites::uuid[] is null or site_id = any(:sites::uuid[])) and (:statuses::text[] is null or status = any(:statuses::text[]))
  and (:before::timestamptz is null or checked_in_at < :before)
order by checked_in_at desc limit :limit;

-- name: decide!
update visits set status = :status, held_reason = :held_reason, zones = :zones, escort_required = :escort_required,
  valid_until = :valid_until, decided_at = :now, decided_by = :actor, decision_reason = :reason
where site_id = :site_id and id = :id;

-- name: set_status!
update visits set status = :status where site_id = :site_id and id = :id;

-- name: finish!
update visits set status = :status, ended_at = :now, ended_by = :actor where site_id = :site_id and id = :id;

-- name: hold_for!
update visits set held_reason = :held_reason where site_id = :site_id and id = :id;

-- name: visit_of_badge$
select visit_id from badges where id = :badge_id;

-- name: badge^
select id, number, status, kid, issued_at, expires_at from badges where site_id = :site_id and visit_id = :visit_id and status <> 'void';

-- name: left_over
-- Visits that nobody ended by the end of their local day.
select site_id, id from visits
where status in ('on_site', 'awaiting_escort', 'approved', 'held') and site_id = :site_id and checked_in_at < :midnight;

-- name: outdated
-- Open visits whose screening that counts was against other revisions than these, or could not be done.
select v.id from visits v
join lateral (select outcome, revisions from screenings s where s.site_id = v.site_id and s.visit_id = v.id and s.superseded_by is null
  order by s.screened_at desc, s.id desc limit 1) s on s.outcome <> 'confirmed'
where v.status in ('held', 'approved', 'awaiting_escort', 'on_site') and (s.outcome = 'unavailable' or s.revisions <> :revisions::jsonb)
order by v.checked_in_at;

-- name: on_site
select v.site_id, v.id as visit_id, v.person_id, p.given_name, p.family_name, v.status, v.held_reason, v.purpose, v.host_id,
  coalesce(h.name, '') as host, v.zones, v.escort_required, coalesce(e.name, '') as escort, b.number as badge_number,
  v.checked_in_at, v.valid_until, coalesce(s.outcome, '') as screening, s.screened_at,
  coalesce(seen.place, '') as last_place, seen.at as last_seen, p.photo is not null as has_photo
from visits v
join people p on p.site_id = v.site_id and p.id = v.person_id
left join staff h on h.id = v.host_id
left join badges b on b.site_id = v.site_id and b.visit_id = v.id and b.status <> 'void'
left join lateral (
  select f.name from escorts x join staff f on f.id = x.staff_id
  where x.site_id = v.site_id and x.visit_id = v.id and x.state = 'accepted' order by x.accepted_at desc limit 1
) e on true
left join lateral (
  select outcome, screened_at from screenings x where x.site_id = v.site_id and x.visit_id = v.id and x.superseded_by is null
  order by screened_at desc limit 1
) s on true
left join lateral (
  select place, at from (
    (select d.name as place, x.at from door_events x join doors d on d.id = x.door_id
      where x.site_id = v.site_id and x.visit_id = v.id and x.verdict = 'granted' order by x.at desc limit 1)
    union all
    (select place, at from badge_checks where site_id = v.site_id and visit_id = v.id order by at desc limit 1)
  ) y order by at desc limit 1
) seen on true
where v.site_id = :site_id and v.status = any(:statuses::text[])
order by v.checked_in_at;
