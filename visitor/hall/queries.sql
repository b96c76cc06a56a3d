-- name: badge^
select b.site_id, b.id as badge_id, b.number as badge_number, b.status as badge_status, b.expires_at,
       v.id as visit_id, v.status as visit_status, v.purpose, v.zones, v.escort_required, v.valid_until, v.checked_in_at,
       p.given_name, p.family_name, p.photo is not null as has_photo,
       coalesce(h.name, '') as host, coalesce(h.place, '') as host_place,
       coalesce(e.name, '') as escort, coalesce(e.place, '') as escort_place
from badges b
join visits v on v.site_id = b.site_id and v.id = b.visit_id
join people p on p.site_id = v.site_id and p.id = v.person_id
left join staff h on h.id = v.host_id
left join lateral (
  select s.name, s.place from escorts x join staff s on s.id = x.staff_id
  where x.site_id = v.site_id and x.visit_id = v.id and x.state = 'accepted' order by x.accepted_at desc limit 1
) e on true
where b.id = :badge_id;

-- name: add_check!
insert into badge_checks (site_id, id, badge_id, visit_id, place, at, by_whom, verdict, reason)
values (:site_id, :id, :badge_id, :visit_id, :place, :at, :by_whom, :verdict, :reason);

-- name: add_challenge!
insert into challenges (site_id, id, place, description, outcome, at, by_whom)
values (:site_id, :id, :place, :description, :outcome, :at, :by_whom);

-- name: challenges
select site_id, id, place, description, outcome, at, by_whom, closed_at, closed_by from challenges
where site_id = :site_id and (not :open_only or closed_at is null) order by at desc limit :limit;

-- name: challenge_for_update^
select site_id, id, place, description, outcome, at, by_whom, closed_at, closed_by from challenges where id = :id for update;

-- name: close_challenge!
update challenges set closed_at = :now, closed_by = :by where site_id = :site_id and id = :id;
