-- The ground: every table of the first journey. Kinds and who may write are declared in visitor/kinds.py.
--
-- Keys are UUIDv7 made in Python: no sequence crosses nodes. Site-owned and shared tables carry site_id in their
-- primary key. Foreign keys stay inside a kind or point to hub-owned rows, which are retired and never deleted.

-- ── hub-owned ────────────────────────────────────────────────────────────────────────────────────────────────

create table sites (
  id uuid primary key,
  kind text not null check (kind in ('hub', 'school')),
  name text not null,
  address text not null default '',
  time_zone text not null,
  facts jsonb not null default '{}',          -- what responders need: shut-offs, key box, plan (SVG shapes)
  retired_at timestamptz
);

create table zones (
  id uuid primary key,
  site_id uuid not null references sites,
  name text not null,
  facts jsonb not null default '{}',          -- place on the plan
  retired_at timestamptz,
  unique (site_id, name)
);

create table printers (
  id uuid primary key,
  site_id uuid not null references sites,
  name text not null,
  address text not null,                      -- tcp://host:9100, usb://vid:pid, serial:///dev/…, cups://queue, file:///…
  profile text not null,                      -- a key of printers.PROFILES
  media text not null,                        -- a key of printers.MEDIA
  retired_at timestamptz
);

create table stations (
  id uuid primary key,
  site_id uuid not null references sites,
  kind text not null check (kind in ('kiosk', 'desk', 'exit')),
  name text not null,
  printer_id uuid references printers,
  second_printer_id uuid references printers,
  retired_at timestamptz
);

create table doors (
  id uuid primary key,
  site_id uuid not null references sites,
  zone_id uuid not null references zones,
  name text not null,
  reader text not null default '',            -- osdp+serial:///dev/ttyUSB0?address=0, osdp+virtual://name, '' = taps by HTTP only
  reader_key bytea,                           -- the reader's Secure Channel base key, encrypted by the key ring
  kid text,
  relock_seconds real not null default 5,
  facts jsonb not null default '{}',
  retired_at timestamptz
);

create table accounts (
  id uuid primary key,
  login text not null,
  name text not null,
  password_hash text not null,                -- argon2id, PHC string
  created_at timestamptz not null,
  retired_at timestamptz
);
create unique index accounts_login on accounts (lower(login)) where retired_at is null;

create table account_roles (
  id uuid primary key,
  account_id uuid not null references accounts,
  role text not null check (role in ('desk', 'hall', 'respond', 'admin')),
  site_id uuid references sites,              -- null: every site
  retired_at timestamptz
);

create table staff (
  id uuid primary key,
  site_id uuid not null references sites,
  account_id uuid references accounts,
  name text not null,
  title text not null default '',
  place text not null default '',
  may_host boolean not null default true,
  may_escort boolean not null default true,
  retired_at timestamptz
);

create table agencies (
  id uuid primary key,
  name text not null,
  retired_at timestamptz
);

create table officers (
  id uuid primary key,
  agency_id uuid not null references agencies,
  account_id uuid references accounts,
  name text not null,
  badge_number text not null default '',
  retired_at timestamptz
);

-- A card that a person carries always: an officer's opens every controlled door while an incident is declared,
-- a staff member's opens the doors of their site and stands as the escort's tap.
create table standing_credentials (
  id uuid primary key,
  officer_id uuid references officers,
  staff_id uuid references staff,
  format text not null,                       -- H10301, PKOC, PIV …
  identifier bytea not null,                  -- keyed hash of format and bits; the number itself is not kept
  valid_from timestamptz not null,
  valid_until timestamptz,
  revoked_at timestamptz,
  check (num_nonnulls(officer_id, staff_id) = 1)
);
create unique index standing_credentials_identifier on standing_credentials (identifier) where revoked_at is null;

create table signing_keys (
  kid text primary key,
  public_key bytea not null,                  -- Ed25519, 32 bytes
  site_id uuid references sites,
  created_at timestamptz not null,
  retired_at timestamptz
);

create table policies (
  id uuid primary key,
  name text not null,                         -- 'purposes'
  version int not null,
  body jsonb not null,
  created_at timestamptz not null,
  unique (name, version)
);

create table watchlists (
  id uuid primary key,
  name text not null unique check (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  title text not null,
  category text not null,                     -- offenders, barred, custody, sanctions
  required boolean not null default true,     -- no visitor is cleared while a required list is missing or stale
  max_age_hours real,                         -- null: the setting's; 0: this list never grows stale
  amber_bits real,
  red_bits real,
  retired_at timestamptz
);

create table watchlist_revisions (
  id uuid primary key,
  watchlist_id uuid not null references watchlists,
  revision int not null,
  format text not null,
  checksum text not null,                     -- SHA-256 of the file as received
  entries int not null,
  names int not null,                         -- with birth_dates: a list that lost its aliases is seen to have shrunk
  birth_dates int not null,
  added int not null,
  removed int not null,
  changed int not null,
  refused int not null,
  imported_at timestamptz not null,
  imported_by text not null,
  unique (watchlist_id, revision)
);

-- Revisioned rows, never whole copies: a row holds from valid_from up to, not including, valid_to.
create table watchlist_entries (
  id uuid primary key,
  watchlist_id uuid not null references watchlists,
  entry_id text not null,
  valid_from int not null,
  valid_to int,
  digest bytea not null,                      -- watchlists' digest of the entry's content, 16 bytes
  entry jsonb not null,                       -- watchlists.Entry
  check (valid_to is null or valid_to > valid_from)
);
create unique index watchlist_entries_current on watchlist_entries (watchlist_id, entry_id) where valid_to is null;
create index watchlist_entries_history on watchlist_entries (watchlist_id, entry_id, valid_from);

-- ── site-owned ───────────────────────────────────────────────────────────────────────────────────────────────

create table people (
  site_id uuid not null references sites,
  id uuid not null,
  identity_key bytea not null,                -- HMAC-SHA-256 under the district's identity secret
  weak boolean not null,                      -- without a document: folded name and birth date only
  family_name text not null,
  given_name text not null,
  secrets bytea,                              -- birth date, address: AES-256-GCM under kid
  photo bytea,                                -- AES-256-GCM under kid
  kid text,
  first_seen timestamptz not null,
  last_seen timestamptz not null,
  primary key (site_id, id),
  unique (site_id, identity_key)
);

create table visits (
  site_id uuid not null references sites,
  id uuid not null,
  person_id uuid not null,
  station_id uuid not null references stations,
  host_id uuid references staff,
  purpose text not null,
  policy_id uuid not null references policies,
  status text not null check (status in
    ('held', 'approved', 'awaiting_escort', 'on_site', 'refused', 'cancelled', 'checked_out', 'presumed_left', 'removed')),
  held_reason text not null default '',       -- a stable code, see visits/models.py
  document jsonb not null,                    -- kind, issuer, verification, warnings, expiry: nothing that names the person
  zones uuid[] not null default '{}',
  escort_required boolean not null,
  checked_in_at timestamptz not null,
  valid_until timestamptz not null,
  decided_at timestamptz,
  decided_by text not null default '',
  decision_reason text not null default '',
  ended_at timestamptz,
  ended_by text not null default '',
  primary key (site_id, id),
  foreign key (site_id, person_id) references people
);
create index visits_id on visits (id);
create index visits_person on visits (site_id, person_id);
create index visits_time on visits (site_id, checked_in_at desc);
-- A double tap never makes two visits, however many processes take it.
create unique index visits_one_open on visits (site_id, person_id)
  where status in ('held', 'approved', 'awaiting_escort', 'on_site');

create table screenings (
  site_id uuid not null references sites,
  id uuid not null,
  visit_id uuid not null,
  outcome text not null check (outcome in ('clear', 'possible_match', 'unavailable', 'confirmed', 'cleared', 'escalated')),
  reason text not null default '',            -- why unavailable, or the decider's words
  revisions jsonb not null,                   -- {list: revision} screened
  matches jsonb not null,                     -- watchlists.Match as found, each with its id
  screened_at timestamptz not null,
  decided_at timestamptz,
  decided_by text not null default '',
  superseded_by uuid,                         -- a screening repeated because a list moved or came back
  identity_key bytea,                         -- whom a clearance would bind; null: identity too weak for one
  primary key (site_id, id),
  foreign key (site_id, visit_id) references visits
);
create index screenings_visit on screenings (site_id, visit_id);
create index screenings_id on screenings (id);

create table badges (
  site_id uuid not null references sites,
  id uuid not null,
  visit_id uuid not null,
  day date not null,                          -- the site's own calendar day
  number int not null,                        -- the day's running number at this site, for people to say aloud
  status text not null check (status in ('issued', 'printed', 'void')),
  kid text not null,                          -- the signing key of its token
  issued_at timestamptz not null,
  expires_at timestamptz not null,
  printed_at timestamptz,
  voided_at timestamptz,
  void_reason text not null default '',
  replaces uuid,
  primary key (site_id, id),
  foreign key (site_id, visit_id) references visits
);
create index badges_id on badges (id);
create unique index badges_number on badges (site_id, day, number);
create index badges_visit on badges (visit_id);
create unique index badges_one_live on badges (site_id, visit_id) where status <> 'void';

create table incidents (
  site_id uuid not null references sites,
  id uuid not null,
  state text not null check (state in ('hold', 'secure', 'lockdown', 'evacuate', 'shelter')),
  exercise boolean not null,
  note text not null default '',
  source text not null,                       -- desk, phone, panic, api
  declared_by text not null,
  declared_at timestamptz not null,
  snapshot jsonb not null,                    -- who was on site when it was declared: visit ids and last places
  resolved_at timestamptz,
  resolved_by text not null default '',
  outcome text not null default '' check (outcome in ('', 'resolved', 'cancelled')),
  primary key (site_id, id)
);
create unique index incidents_one_open on incidents (site_id) where resolved_at is null;
create index incidents_id on incidents (id);

create table site_states (
  site_id uuid primary key references sites,
  state text not null check (state in ('normal', 'hold', 'secure', 'lockdown', 'evacuate', 'shelter')),
  exercise boolean not null default false,
  incident_id uuid,
  since timestamptz not null,
  foreign key (site_id, incident_id) references incidents
);

-- Visit and emergency credentials. `state` follows decisions; whether one opens a door now is judged with the clock and
-- the site state, never by a stored guess.
create table credentials (
  site_id uuid not null references sites,
  id uuid not null,
  kind text not null check (kind in ('visit', 'emergency')),
  visit_id uuid,
  badge_id uuid,
  officer_id uuid references officers,
  incident_id uuid,
  zones uuid[] not null default '{}',
  escorted boolean not null default false,
  state text not null check (state in ('pending', 'active', 'ended')),
  kid text not null,
  valid_from timestamptz not null,
  valid_until timestamptz not null,
  issued_by text not null,
  reason text not null default '',
  ended_at timestamptz,
  ended_reason text not null default '',
  primary key (site_id, id),
  foreign key (site_id, visit_id) references visits,
  foreign key (site_id, badge_id) references badges,
  foreign key (site_id, incident_id) references incidents,
  check ((kind = 'visit') = (visit_id is not null)),
  check ((kind = 'emergency') = (officer_id is not null and incident_id is not null))
);
create index credentials_visit on credentials (site_id, visit_id);
create index credentials_id on credentials (id);
create index credentials_current on credentials (site_id, valid_until);  -- what a door's table is made of

create table escorts (
  site_id uuid not null references sites,
  id uuid not null,
  visit_id uuid not null,
  staff_id uuid references staff,             -- who was asked, then who accepted
  state text not null check (state in ('asked', 'accepted', 'handed_over', 'ended')),
  asked_at timestamptz not null,
  accepted_at timestamptz,
  ended_at timestamptz,
  primary key (site_id, id),
  foreign key (site_id, visit_id) references visits
);
create index escorts_visit on escorts (site_id, visit_id);

create table door_events (
  site_id uuid not null references sites,
  id uuid not null,                           -- made by the journal, so that draining twice inserts once
  door_id uuid not null references doors,
  at timestamptz not null,
  verdict text not null check (verdict in ('granted', 'denied')),
  reason text not null,
  holder text not null default '',            -- visit, escort, officer, staff
  visit_id uuid,
  credential_id uuid,
  standing_id uuid references standing_credentials,
  primary key (site_id, id)
);
create index door_events_time on door_events (site_id, at desc);
create index door_events_visit on door_events (site_id, visit_id, at desc) where visit_id is not null;

create table badge_checks (
  site_id uuid not null references sites,
  id uuid not null,
  badge_id uuid,
  visit_id uuid,
  place text not null default '',
  at timestamptz not null,
  by_whom text not null,
  verdict text not null,
  reason text not null,
  primary key (site_id, id)
);
create index badge_checks_visit on badge_checks (site_id, visit_id, at desc);

create table challenges (
  site_id uuid not null references sites,
  id uuid not null,
  place text not null,
  description text not null default '',
  outcome text not null,
  at timestamptz not null,
  by_whom text not null,
  closed_at timestamptz,
  closed_by text not null default '',
  primary key (site_id, id)
);

-- Insert-only for the application. No personal data in `detail`: ids, codes and counts.
create table audit (
  site_id uuid not null references sites,
  id uuid not null,
  at timestamptz not null,
  actor text not null,                        -- account:…, token:…, station:…, officer:…, system
  action text not null,                       -- visit.checked_in, screening.decided …
  subject_kind text not null,
  subject_id uuid not null,
  detail jsonb not null default '{}',
  primary key (site_id, id)
);
create index audit_time on audit (site_id, at desc);
create index audit_subject on audit (subject_id);

-- ── shared ───────────────────────────────────────────────────────────────────────────────────────────────────

create table barred_entries (
  site_id uuid not null references sites,
  id uuid not null,
  entry jsonb not null,                       -- watchlists.Entry
  reason text not null,
  valid_until date,
  created_at timestamptz not null,
  created_by text not null,
  primary key (site_id, id)
);

create table custody_orders (
  site_id uuid not null references sites,
  id uuid not null,
  entry jsonb not null,                       -- watchlists.Entry of the restricted adult
  order_number text not null default '',
  note text not null default '',
  valid_until date,
  created_at timestamptz not null,
  created_by text not null,
  primary key (site_id, id)
);

create table clearances (
  site_id uuid not null references sites,
  id uuid not null,
  identity_key bytea not null,
  watchlist text not null,
  entry_id text not null,
  evidence_digest bytea not null,
  screening_id uuid not null,
  reason text not null,
  created_at timestamptz not null,
  created_by text not null,
  primary key (site_id, id)
);
create index clearances_identity on clearances (identity_key);

-- A lift, a revocation, a withdrawal: a new row that ends a shared row, whoever wrote that one.
create table endings (
  site_id uuid not null references sites,
  id uuid not null,
  ends_table text not null check (ends_table in ('barred_entries', 'custody_orders', 'clearances')),
  ends_site_id uuid not null,
  ends_id uuid not null,
  reason text not null,
  created_at timestamptz not null,
  created_by text not null,
  primary key (site_id, id)
);
create index endings_of on endings (ends_table, ends_id);

-- ── local ────────────────────────────────────────────────────────────────────────────────────────────────────

create table node (
  one boolean primary key default true check (one),
  id uuid not null,
  role text not null check (role in ('both', 'hub', 'site')),
  site_id uuid,                               -- this node's own site; the hub has one of its own
  key_check bytea not null,                   -- proves that a process brought the same key ring
  created_at timestamptz not null
);

create table sessions (
  id_hash bytea primary key,                  -- SHA-256 of the cookie's value
  account_id uuid not null references accounts,
  csrf text not null,
  created_at timestamptz not null,
  authenticated_at timestamptz not null,      -- when a password was last given: emergency credentials ask for a fresh one
  seen_at timestamptz not null,
  expires_at timestamptz not null
);

create table device_pairings (
  id uuid primary key,
  station_id uuid not null references stations,
  token_hash bytea not null unique,
  created_at timestamptz not null,
  created_by text not null,
  revoked_at timestamptz
);

create table api_tokens (
  id uuid primary key,
  name text not null,
  role text not null check (role in ('desk', 'hall', 'respond', 'admin', 'doors')),
  site_id uuid references sites,              -- null: every site
  token_hash bytea not null unique,
  created_at timestamptz not null,
  expires_at timestamptz,
  revoked_at timestamptz
);

-- One-time codes: the first administrator's set-up link, a station's pairing code.
create table setup_links (
  code_hash bytea primary key,
  purpose text not null check (purpose in ('administrator', 'pairing')),
  station_id uuid references stations,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  used_at timestamptz
);

create table idempotency_keys (
  principal text not null,
  key_hash bytea not null,
  body_hash bytea not null,                   -- keyed: tells a retry from another request under the same key
  visit_id uuid not null,
  site_id uuid not null,
  created_at timestamptz not null,
  primary key (principal, key_hash)
);

-- The spool's rows. A job holds ids only; the badge is rendered from the rows it names, at the time it prints.
create table print_jobs (
  id uuid primary key,
  site_id uuid not null,
  badge_id uuid not null,
  visit_id uuid not null,
  printer_id uuid not null,                   -- where it is to print now
  state text not null check (state in ('queued', 'sending', 'printed', 'failed', 'doubtful', 'cancelled')),
  reason text not null default '',            -- words for the desk
  attempts int not null default 0,
  worker text,                                -- who has claimed it, and until when
  lease_until timestamptz,
  not_before timestamptz,
  expires_at timestamptz not null,            -- nobody wants yesterday's badge
  confirmed boolean,                          -- with 'printed': whether the printer itself said so
  created_at timestamptz not null,
  updated_at timestamptz not null,
  printed_at timestamptz
);
create index print_jobs_waiting on print_jobs (printer_id, created_at, id) where state in ('queued', 'sending');
create index print_jobs_doubtful on print_jobs (printer_id, created_at) where state = 'doubtful';
create index print_jobs_badge on print_jobs (badge_id);

-- One line a printer: a person's hold, and what the process that prints last heard of it, for the desks of every process.
create table print_lines (
  printer_id uuid primary key,
  site_id uuid not null,
  hold_reason text,                           -- null: the line goes on
  condition text not null default 'idle' check (condition in ('idle', 'printing', 'waiting', 'held')),
  problem text not null default '',
  paper text not null default 'unknown' check (paper in ('ok', 'low', 'out', 'unknown')),
  updated_at timestamptz not null
);

-- ── the application's role ───────────────────────────────────────────────────────────────────────────────────

grant usage on schema public to visitor_app;
grant select, insert, update, delete on all tables in schema public to visitor_app;
alter default privileges in schema public grant select, insert, update, delete on tables to visitor_app;
alter default privileges in schema public grant usage, select on sequences to visitor_app;
revoke update, delete on audit from visitor_app;
revoke insert, update, delete on schema_migrations from visitor_app;
