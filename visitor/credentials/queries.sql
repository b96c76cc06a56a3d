-- name: add!
insert into credentials (site_id, id, kind, visit_id, badge_id, officer_id, incident_id, zones, escorted, state, kid, valid_from,
  valid_until, issued_by, reason)
values (:site_id, :id, :kind, :visit_id, :badge_id, :officer_id, :incident_id, :zones, :escorted, :state, :kid, :valid_from,
  :valid_until, :issued_by, :reason);

-- name: standing
select c.id, c.officer_id, c.staff_id, s.site_id, c.format, c.identifier, c.valid_from, c.valid_until
from standing_credentials c left join staff s on s.id = c.staff_id left join officers o on o.id = c.officer_id
where c.revoked_at is null and (s.id is null or s.retired_at is null) and (o.id is null or o.retired_at is null)
  and (:id::uuid is null or c.id = :id);

-- name: activate
update credentials set state = 'active', valid_from = :now
where site_id = :site_id and visit_id = :visit_id and state = 'pending' returning id;

-- name: change
update credentials set zones = coalesce(:zones::uuid[], zones), valid_until = coalesce(:valid_until::timestamptz, valid_until),
  badge_id = coalesce(:badge_id::uuid, badge_id)
where site_id = :site_id and visit_id = :visit_id and state <> 'ended' returning id;

-- name: end_visit
update credentials set state = 'ended', ended_at = :now, ended_reason = :reason
where site_id = :site_id and visit_id = :visit_id and state <> 'ended' returning id;

-- name: end_incident
update credentials set state = 'ended', ended_at = :now, ended_reason = :reason
where site_id = :site_id and incident_id = :incident_id and state <> 'ended' returning id;

-- name: end_one$
update credentials set state = 'ended', ended_at = :now, ended_reason = :reason
where site_id = :site_id and id = :id and state <> 'ended' returning id;

-- name: of_visit^
select site_id, id, kind, visit_id, badge_id, officer_id, incident_id, zones, escorted, state, kid, valid_from, valid_until
from credentials where site_id = :site_id and visit_id = :visit_id order by id desc limit 1;

-- name: add_standing$
insert into standing_credentials (id, officer_id, staff_id, format, identifier, valid_from, valid_until)
values (:id, :officer_id, :staff_id, :format, :identifier, :valid_from, :valid_until)
on conflict (identifier) where revoked_at is null do nothing returning id;

-- name: revoke_standing$
update standing_credentials set revoked_at = :now where id = :id and revoked_at is null returning id;

-- name: cards
-- Cards in use with who carries them, newest first; of one school's staff, of all staff, or of officers too.
select c.id, c.format, c.staff_id, c.officer_id, s.site_id, coalesce(s.name, o.name) as holder, coalesce(a.name, '') as agency,
  c.valid_from, c.valid_until
from standing_credentials c left join staff s on s.id = c.staff_id
left join officers o on o.id = c.officer_id left join agencies a on a.id = o.agency_id
where c.revoked_at is null and (c.officer_id is not null and :officers or s.site_id = any(:sites::uuid[]) or s.id is not null and :everywhere)
order by c.id desc;
