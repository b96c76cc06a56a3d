-- name: add!
insert into screenings (site_id, id, visit_id, outcome, reason, revisions, matches, screened_at, identity_key)
values (:site_id, :id, :visit_id, :outcome, :reason, :revisions, :matches, :now, :identity_key);

-- name: supersede!
update screenings set superseded_by = :by where site_id = :site_id and id = :id and superseded_by is null;

-- name: latest^
select site_id, id, visit_id, outcome, reason, revisions, matches, screened_at, decided_at, decided_by, superseded_by, identity_key
from screenings where site_id = :site_id and visit_id = :visit_id and superseded_by is null
order by screened_at desc, id desc limit 1;

-- name: latest_for_update^
select site_id, id, visit_id, outcome, reason, revisions, matches, screened_at, decided_at, decided_by, superseded_by, identity_key
from screenings where site_id = :site_id and visit_id = :visit_id and superseded_by is null
order by screened_at desc, id desc limit 1 for update;

-- name: latest_of
select distinct on (visit_id) site_id, id, visit_id, outcome, reason, revisions, matches, screened_at, decided_at, decided_by,
  superseded_by, identity_key
from screenings where (site_id, visit_id) in (select * from unnest(:sites::uuid[], :visits::uuid[])) and superseded_by is null
order by visit_id, screened_at desc, id desc;

-- name: screening^
select site_id, id, visit_id, outcome, reason, revisions, matches, screened_at, decided_at, decided_by, superseded_by, identity_key
from screenings where id = :id;

-- name: screening_for_update^
select site_id, id, visit_id, outcome, reason, revisions, matches, screened_at, decided_at, decided_by, superseded_by, identity_key
from screenings where id = :id for update;

-- name: decide!
update screenings set outcome = :outcome, reason = :reason, decided_at = :now, decided_by = :actor
where site_id = :site_id and id = :id;

-- name: clearances
-- What stands of an identity: ended ones do not count, whoever ended them.
select c.id, c.watchlist, c.entry_id, c.evidence_digest from clearances c
where c.identity_key = :identity_key
  and not exists (
    select from endings e where e.ends_table = 'clearances' and e.ends_id = c.id and e.ends_site_id = c.site_id
  );

-- name: clearance^
select site_id, id, watchlist, entry_id, screening_id, reason, created_at, created_by from clearances where id = :id;

-- name: add_clearance!
insert into clearances
  (site_id, id, identity_key, watchlist, entry_id, evidence_digest, screening_id, reason, created_at, created_by)
values
  (:site_id, :id, :identity_key, :watchlist, :entry_id, :evidence_digest, :screening_id, :reason, :now, :actor);

-- name: ended$
select exists (select from endings where ends_table = 'clearances' and ends_id = :id);

-- name: end_clearance!
insert into endings (site_id, id, ends_table, ends_site_id, ends_id, reason, created_at, created_by)
values (:site_id, :id, 'clearances', :ends_site_id, :ends_id, :reason, :now, :actor);
