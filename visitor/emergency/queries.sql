-- name: declare^
-- The frozen list is taken in the statement that declares: nobody checked in later is in it, nobody who left before.
insert into incidents (site_id, id, state, exercise, note, source, declared_by, declared_at, snapshot)
select :site_id::uuid, :id::uuid, :state::text, :exercise::boolean, :note::text, :source::text, :declared_by::text,
       :declared_at::timestamptz,
       coalesce(jsonb_agg(jsonb_build_object('visit_id', v.id, 'status', v.status, 'place', coalesce(seen.place, ''), 'at', seen.at)
                          order by v.checked_in_at) filter (where v.id is not null), '[]'::jsonb)
from (select 1) one
left join visits v on v.site_id = :site_id and v.status in ('held', 'awaiting_escort', 'on_site')
left join lateral (
  select place, at from (
    (select d.name as place, e.at from door_events e join doors d on d.id = e.door_id
      where e.site_id = v.site_id and e.visit_id = v.id and e.verdict = 'granted' order by e.at desc limit 1)
    union all
    (select c.place, c.at from badge_checks c where c.site_id = v.site_id and c.visit_id = v.id and c.place <> '' order by c.at desc limit 1)
  ) both_kinds order by at desc limit 1
) seen on true
returning site_id, id, state, exercise, note, source, declared_by, declared_at, snapshot, resolved_at, resolved_by, outcome;

-- name: open_at^
select site_id, id, state, exercise, note, source, declared_by, declared_at, snapshot, resolved_at, resolved_by, outcome
from incidents where site_id = :site_id and resolved_at is null;

-- name: incident^
select site_id, id, state, exercise, note, source, declared_by, declared_at, snapshot, resolved_at, resolved_by, outcome
from incidents where id = :id;

-- name: incident_for_update^
select site_id, id, state, exercise, note, source, declared_by, declared_at, snapshot, resolved_at, resolved_by, outcome
from incidents where id = :id for update;

-- name: listed
select site_id, id, state, exercise, note, source, declared_by, declared_at, snapshot, resolved_at, resolved_by, outcome
from incidents where site_id = :site_id order by declared_at desc limit :limit;

-- name: resolve!
update incidents set resolved_at = :now, resolved_by = :by, outcome = :outcome where site_id = :site_id and id = :id;

-- name: change_state!
update incidents set state = :state where site_id = :site_id and id = :id;

-- name: live_credentials_of
select id from credentials
where site_id = :site_id and incident_id = :incident_id and officer_id = :officer_id and kind = 'emergency' and state <> 'ended';

-- name: names_of
select v.id as visit_id, p.given_name, p.family_name, v.status, v.ended_at
from visits v join people p on p.site_id = v.site_id and p.id = v.person_id
where v.site_id = :site_id and v.id = any(:visits::uuid[]);

-- name: credentials_of
select c.id, c.officer_id, o.name as officer, c.state, c.valid_from, c.valid_until, c.ended_at, c.ended_reason
from credentials c join officers o on o.id = c.officer_id
where c.site_id = :site_id and c.incident_id = :incident_id and c.kind = 'emergency' order by c.valid_from;
