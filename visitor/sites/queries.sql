-- name: sites
select id, kind, name, address, time_zone, facts from sites where retired_at is null order by name;

-- name: zones
select id, site_id, name, facts from zones where retired_at is null order by name;

-- name: doors
select id, site_id, zone_id, name, reader, reader_key, kid, relock_seconds, facts from doors where retired_at is null order by name;

-- name: stations
select id, site_id, kind, name, printer_id, second_printer_id from stations where retired_at is null order by name;

-- name: printers
select id, site_id, name, address, profile, media from printers where retired_at is null order by name;

-- name: site_states
select site_id, state, exercise, incident_id, since from site_states;

-- name: set_state!
insert into site_states (site_id, state, exercise, incident_id, since)
values (:site_id, :state, :exercise, :incident_id, :since)
on conflict (site_id) do update
set state = excluded.state, exercise = excluded.exercise, incident_id = excluded.incident_id, since = excluded.since;

-- name: add_site!
insert into sites (id, kind, name, address, time_zone, facts) values (:id, :kind, :name, :address, :time_zone, :facts);

-- name: add_zone!
insert into zones (id, site_id, name, facts) values (:id, :site_id, :name, :facts);

-- name: add_printer!
insert into printers (id, site_id, name, address, profile, media) values (:id, :site_id, :name, :address, :profile, :media);

-- name: set_printer_address!
update printers set address = :address where id = :id;

-- name: add_station!
insert into stations (id, site_id, kind, name, printer_id, second_printer_id)
values (:id, :site_id, :kind, :name, :printer_id, :second_printer_id);

-- name: add_door!
insert into doors (id, site_id, zone_id, name, reader, reader_key, kid, relock_seconds, facts)
values (:id, :site_id, :zone_id, :name, :reader, :reader_key, :kid, :relock_seconds, :facts);

-- name: district$
select id from sites where kind = 'hub' and retired_at is null order by id limit 1;

-- name: lock_district!
-- "HUB!" as a number: held to the end of the transaction.
select pg_advisory_xact_lock(1213547041);

-- name: set_reader!
update doors set reader = :reader, reader_key = :reader_key, kid = :kid where id = :id;
