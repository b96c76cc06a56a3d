-- name: keep^
-- One statement finds or makes: two check-ins of one person at the same moment meet in the unique index. A photo stays until
-- a new one is taken.
insert into people (site_id, id, identity_key, weak, family_name, given_name, secrets, photo, kid, first_seen, last_seen)
values (:site_id, :id, :identity_key, :weak, :family_name, :given_name, :secrets, :photo, :kid, :now, :now)
on conflict (site_id, identity_key) do update
set family_name = excluded.family_name, given_name = excluded.given_name, secrets = excluded.secrets, kid = excluded.kid,
  photo = coalesce(excluded.photo, people.photo), last_seen = greatest(people.last_seen, excluded.last_seen)
returning site_id, id, identity_key, weak, family_name, given_name, first_seen, last_seen, photo is not null as has_photo;

-- name: person^
select site_id, id, identity_key, weak, family_name, given_name, first_seen, last_seen, photo is not null as has_photo
from people where site_id = :site_id and id = :id;

-- name: people_of
select site_id, id, identity_key, weak, family_name, given_name, first_seen, last_seen, photo is not null as has_photo, secrets, kid
from people where (site_id, id) in (select * from unnest(:sites::uuid[], :ids::uuid[]));

-- name: secrets^
select secrets, kid from people where site_id = :site_id and id = :id;

-- name: photo^
select identity_key, photo from people where site_id = :site_id and id = :id;
