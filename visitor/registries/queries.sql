-- name: lists
select w.id, w.name, w.title, w.category, w.required, w.max_age_hours, w.amber_bits, w.red_bits,
  r.id as revision_id, coalesce(r.revision, 0) as revision, coalesce(r.entries, 0) as entries, r.imported_at
from watchlists w
left join lateral (
  select id, revision, entries, imported_at from watchlist_revisions where watchlist_id = w.id order by revision desc limit 1
) r on true
where w.retired_at is null
order by w.name;

-- name: in_force
-- The revision of every list. Lists kept entry by entry have none of their own: their rows and endings are only ever added,
-- so how many there are tells whether anything changed.
select w.name, (select max(r.revision) from watchlist_revisions r where r.watchlist_id = w.id)::bigint as revision
from watchlists w where w.retired_at is null
union all
select 'barred', (select count(*) from barred_entries) + (select count(*) from endings where ends_table = 'barred_entries')
union all
select 'custody', (select count(*) from custody_orders) + (select count(*) from endings where ends_table = 'custody_orders');

-- name: hold_changes!
-- Held by whoever acts on a screening, to the end of the transaction ("LIST" as a number).
select pg_advisory_xact_lock_shared(1279873876);

-- name: change!
-- Waits for all of those, and makes the next ones wait until the change is committed.
select pg_advisory_xact_lock(1279873876);

-- name: try_import$
select pg_try_advisory_lock(hashtextextended('visitor import ' || :name, 0));

-- name: end_import!
select pg_advisory_unlock(hashtextextended('visitor import ' || :name, 0));

-- name: add_list!
insert into watchlists (id, name, title, category, required, max_age_hours, amber_bits, red_bits)
values (:id, :name, :title, :category, :required, :max_age_hours, :amber_bits, :red_bits)
on conflict (name) do nothing;

-- name: set_list$
insert into watchlists (id, name, title, category, required, max_age_hours, amber_bits, red_bits)
values (:id, :name, :title, :category, :required, :max_age_hours, :amber_bits, :red_bits)
on conflict (name) do update
set title = excluded.title, category = excluded.category, required = excluded.required, max_age_hours = excluded.max_age_hours,
  amber_bits = excluded.amber_bits, red_bits = excluded.red_bits, retired_at = null
returning id;

-- name: retire_list$
update watchlists set retired_at = :now where name = :name and retired_at is null returning id;

-- name: list_for_update^
select id, retired_at from watchlists where name = :name for update;

-- name: last_counts^
select revision, entries, names, birth_dates from watchlist_revisions
where watchlist_id = :watchlist_id order by revision desc limit 1;

-- name: stage#
create temp table staged (id uuid, entry_id text, digest bytea, entry text) on commit drop;

-- name: analyze_staged#
analyze staged;

-- name: diff^
select
  (select count(*) from staged s where not exists (
    select from watchlist_entries c where c.watchlist_id = :watchlist_id and c.valid_to is null and c.entry_id = s.entry_id)) as added,
  (select count(*) from watchlist_entries c where c.watchlist_id = :watchlist_id and c.valid_to is null and not exists (
    select from staged s where s.entry_id = c.entry_id)) as removed,
  (select count(*) from watchlist_entries c join staged s on s.entry_id = c.entry_id and s.digest <> c.digest
    where c.watchlist_id = :watchlist_id and c.valid_to is null) as changed;

-- name: end_entries!
update watchlist_entries c set valid_to = :revision
where c.watchlist_id = :watchlist_id and c.valid_to is null
  and not exists (select from staged s where s.entry_id = c.entry_id and s.digest = c.digest);

-- name: begin_entries!
insert into watchlist_entries (id, watchlist_id, entry_id, valid_from, digest, entry)
select s.id, :watchlist_id, s.entry_id, :revision, s.digest, s.entry::jsonb
from staged s
where not exists (
  select from watchlist_entries c where c.watchlist_id = :watchlist_id and c.valid_to is null and c.entry_id = s.entry_id
);

-- name: add_revision!
insert into watchlist_revisions
  (id, watchlist_id, revision, format, checksum, entries, names, birth_dates, added, removed, changed, refused, imported_at, imported_by)
values
  (:id, :watchlist_id, :revision, :format, :checksum, :entries, :names, :birth_dates, :added, :removed, :changed, :refused, :now, :actor);

-- name: changes
-- Entries that began or ended between two revisions; one row more than asked for means that there are too many.
select entry_id, valid_from <= :until and (valid_to is null or valid_to > :until) as stands, entry
from watchlist_entries
where watchlist_id = :watchlist_id
  and ((valid_from > :since and valid_from <= :until) or (valid_to > :since and valid_to <= :until))
limit :most;

-- name: entry^
-- As of a revision, or the last there was.
select e.entry from watchlist_entries e join watchlists w on w.id = e.watchlist_id
where w.name = :name and e.entry_id = :entry_id and (:revision::int is null or e.valid_from <= :revision::int)
order by e.valid_from desc limit 1;

-- name: barred_entries
select b.site_id, b.id, b.entry, b.valid_until, b.created_at, b.reason from barred_entries b
where not exists (select from endings e where e.ends_table = 'barred_entries' and e.ends_id = b.id and e.ends_site_id = b.site_id)
order by b.id;

-- name: custody_orders
select c.site_id, c.id, c.entry, c.valid_until, c.created_at, c.note as reason from custody_orders c
where not exists (select from endings e where e.ends_table = 'custody_orders' and e.ends_id = c.id and e.ends_site_id = c.site_id)
order by c.id;

-- name: add_barred_entries!
insert into barred_entries (site_id, id, entry, reason, valid_until, created_at, created_by)
values (:site_id, :id, :entry, :reason, :valid_until, :now, :actor);

-- name: add_custody_orders!
insert into custody_orders (site_id, id, entry, note, valid_until, created_at, created_by)
values (:site_id, :id, :entry, :reason, :valid_until, :now, :actor);

-- name: site_of_barred_entries$
select site_id from barred_entries where id = :id;

-- name: site_of_custody_orders$
select site_id from custody_orders where id = :id;

-- name: ended$
select exists (select from endings where ends_table = :table and ends_id = :id);

-- name: add_ending!
insert into endings (site_id, id, ends_table, ends_site_id, ends_id, reason, created_at, created_by)
values (:site_id, :id, :table, :ends_site_id, :ends_id, :reason, :now, :actor);

-- name: entry_of_barred_entries$
select entry from barred_entries where id::text = :entry_id;

-- name: entry_of_custody_orders$
select entry from custody_orders where id::text = :entry_id;
