-- name: account_by_login^
select id, login, name, password_hash from accounts where lower(login) = lower(:login) and retired_at is null;

-- name: account_roles
select role, site_id from account_roles where account_id = :account_id and retired_at is null;

-- name: administrators$
select count(*) from account_roles r join accounts a on a.id = r.account_id
where r.role = 'admin' and r.retired_at is null and a.retired_at is null;

-- name: add_account!
insert into accounts (id, login, name, password_hash, created_at) values (:id, :login, :name, :password_hash, :now);

-- name: set_password!
update accounts set password_hash = :password_hash where id = :id;

-- name: add_role!
insert into account_roles (id, account_id, role, site_id) values (:id, :account_id, :role, :site_id);

-- name: add_session!
insert into sessions (id_hash, account_id, csrf, created_at, authenticated_at, seen_at, expires_at)
values (:id_hash, :account_id, :csrf, :now, :now, :now, :expires_at);

-- name: session^
select s.account_id, a.name, s.csrf, s.authenticated_at, s.expires_at
from sessions s join accounts a on a.id = s.account_id
where s.id_hash = :id_hash and s.expires_at > :now and a.retired_at is null;

-- name: touch_session!
update sessions set seen_at = :now, expires_at = :expires_at where id_hash = :id_hash and seen_at < :now::timestamptz - interval '1 minute';

-- name: reauthenticate!
update sessions set authenticated_at = :now where id_hash = :id_hash;

-- name: end_session!
delete from sessions where id_hash = :id_hash;

-- name: end_old_sessions!
delete from sessions where expires_at < :now;

-- name: token^
select id, name, role, site_id from api_tokens
where token_hash = :token_hash and revoked_at is null and (expires_at is null or expires_at > :now);

-- name: add_token!
insert into api_tokens (id, name, role, site_id, token_hash, created_at, expires_at)
values (:id, :name, :role, :site_id, :token_hash, :now, :expires_at);

-- name: revoke_tokens_named!
update api_tokens set revoked_at = :now where name = :name and revoked_at is null;

-- name: pairing^
select p.id, p.station_id, s.site_id, s.name from device_pairings p join stations s on s.id = p.station_id
where p.token_hash = :token_hash and p.revoked_at is null and s.retired_at is null;

-- name: add_pairing!
insert into device_pairings (id, station_id, token_hash, created_at, created_by)
values (:id, :station_id, :token_hash, :now, :created_by);

-- name: revoke_pairings!
update device_pairings set revoked_at = :now where station_id = :station_id and revoked_at is null;

-- name: add_link!
insert into setup_links (code_hash, purpose, station_id, created_at, expires_at)
values (:code_hash, :purpose, :station_id, :now, :expires_at);

-- name: link^
select purpose, station_id from setup_links where code_hash = :code_hash and used_at is null and expires_at > :now;

-- name: use_link^
update setup_links set used_at = :now where code_hash = :code_hash and used_at is null and expires_at > :now
returning purpose, station_id;

-- name: staff
select id, site_id, account_id, name, title, place, may_host, may_escort from staff
where retired_at is null and (:site_id::uuid is null or site_id = :site_id) order by name;

-- name: staff_member^
select id, site_id, account_id, name, title, place, may_host, may_escort from staff where id = :id and retired_at is null;

-- name: staff_named
select id, name from staff where id = any(:ids::uuid[]) and retired_at is null;

-- name: add_staff!
insert into staff (id, site_id, account_id, name, title, place, may_host, may_escort)
values (:id, :site_id, :account_id, :name, :title, :place, :may_host, :may_escort);

-- name: add_agency!
insert into agencies (id, name) values (:id, :name);

-- name: add_officer!
insert into officers (id, agency_id, account_id, name, badge_number) values (:id, :agency_id, :account_id, :name, :badge_number);

-- name: officers
select o.id, o.agency_id, o.account_id, o.name, o.badge_number, a.name as agency
from officers o join agencies a on a.id = o.agency_id where o.retired_at is null and a.retired_at is null order by o.name;
