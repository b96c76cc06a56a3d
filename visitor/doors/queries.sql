-- What counts now is judged by the decision; these rows only say what was decided. A visit that is over ends its credential
-- here too, and only the badge that is not void counts: no door depends on one slice having told another.

-- name: visit_credentials
-- `every`, or those of `ids`. Row by row, by ids alone: on tables without statistics yet (a new database's first hundred
-- check-ins) the planner took any index that begins with site_id and read a site's rows once for each of them.
with picked as (
  select id from credentials where :every::boolean and site_id = :site_id and valid_until > :since
  union all
  select unnest(:ids::uuid[])
)
select c.id, c.site_id, c.visit_id, b.id as badge_id,
       array(select o.id from badges o where o.site_id = c.site_id and o.visit_id = c.visit_id and o.status = 'void') as void_badges,
       c.zones, c.escorted or v.escort_required as escorted,
       (select e.staff_id from escorts e
        where e.site_id = c.site_id and e.visit_id = c.visit_id and e.state = 'accepted'
        order by e.accepted_at desc limit 1) as escort_id,
       case when c.state = 'ended' or v.status in ('refused', 'cancelled', 'checked_out', 'presumed_left', 'removed') then 'ended'
            when v.status = 'on_site' then c.state
            else 'pending' end as state,
       c.valid_from, least(c.valid_until, v.valid_until) as valid_until
from picked
cross join lateral (
  select * from credentials
  where id = picked.id and site_id is not distinct from :site_id and kind = 'visit' limit 1) c
cross join lateral (select status, escort_required, valid_until from visits where id = c.visit_id limit 1) v
left join lateral (
  select id from badges where site_id = c.site_id and visit_id = c.visit_id and status <> 'void' limit 1) b on true;

-- name: emergency_credentials
select id, site_id, incident_id, state, valid_from, valid_until from credentials
where kind = 'emergency' and site_id = :site_id and valid_until > :since;

-- name: emergency_credentials_of
select id, site_id, incident_id, state, valid_from, valid_until from credentials
where kind = 'emergency' and site_id = :site_id and id = any(:ids::uuid[]);

-- name: standing_credentials
select c.id, c.identifier, c.officer_id, c.staff_id, s.site_id, c.valid_from, c.valid_until,
       (c.revoked_at is not null or coalesce(o.retired_at, s.retired_at, a.retired_at) is not null) as revoked
from standing_credentials c
left join officers o on o.id = c.officer_id
left join agencies a on a.id = o.agency_id
left join staff s on s.id = c.staff_id;

-- name: add_event^
insert into door_events (site_id, id, door_id, at, verdict, reason, holder, visit_id, credential_id, standing_id)
values (:site_id, :id, :door_id, :at, :verdict, :reason, :holder, :visit_id, :credential_id, :standing_id)
on conflict do nothing returning id;

-- name: last_taps
select d.id as door_id, e.at, e.verdict, e.reason, e.holder, e.visit_id
from doors d cross join lateral (
  select at, verdict, reason, holder, visit_id from door_events
  where site_id = d.site_id and door_id = d.id order by at desc limit 1) e
where d.retired_at is null;

-- name: recent_events
select id, site_id, door_id, at, verdict, reason, holder, visit_id, credential_id, standing_id, '' as source
from door_events where site_id = :site_id and (:door_id::uuid is null or door_id = :door_id) order by at desc limit :limit;

-- name: staff_taps
select c.staff_id, max(e.at) as at
from door_events e join standing_credentials c on c.id = e.standing_id
where e.site_id = :site_id and e.door_id = :door_id and e.at > :since and e.verdict = 'granted' and c.staff_id is not null
group by c.staff_id;
