-- ── badges ───────────────────────────────────────────────────────────────────────────────────────────────────

-- name: last_number$
select coalesce(max(number), 0) from badges where site_id = :site_id and day = :day;

-- name: add$
-- Another process may have taken the number: it waits for that one's transaction, then gives no row.
insert into badges (site_id, id, visit_id, day, number, status, kid, issued_at, expires_at, replaces)
values (:site_id, :id, :visit_id, :day, :number, :status, :kid, :issued_at, :expires_at, :replaces)
on conflict (site_id, day, number) do nothing returning number;

-- name: live^
select site_id, id, visit_id, day, number, status, kid, issued_at, expires_at, printed_at, voided_at, void_reason, replaces
from badges where site_id = :site_id and visit_id = :visit_id and status <> 'void';

-- name: live_of
select site_id, id, visit_id, day, number, status, kid, issued_at, expires_at, printed_at, voided_at, void_reason, replaces
from badges where (site_id, visit_id) in (select * from unnest(:sites::uuid[], :visits::uuid[])) and status <> 'void';

-- name: live_for_update^
select site_id, id, visit_id, day, number, status, kid, issued_at, expires_at, printed_at, voided_at, void_reason, replaces
from badges where site_id = :site_id and visit_id = :visit_id and status <> 'void' for update;

-- name: badge^
select site_id, id, visit_id, day, number, status, kid, issued_at, expires_at, printed_at, voided_at, void_reason, replaces
from badges where id = :id;

-- name: void!
update badges set status = 'void', voided_at = :now, void_reason = :reason where site_id = :site_id and id = :id;

-- name: printed!
update badges set status = 'printed', printed_at = coalesce(printed_at, :now)
where site_id = :site_id and id = :id and status = 'issued';

-- name: site_of_visit$
select site_id from badges where visit_id = :visit_id limit 1;

-- ── print jobs ───────────────────────────────────────────────────────────────────────────────────────────────

-- name: add_job$
insert into print_jobs (id, site_id, badge_id, visit_id, printer_id, state, not_before, expires_at, created_at, updated_at)
values (:id, :site_id, :badge_id, :visit_id, :printer_id, 'queued', :not_before, :expires_at, :created_at, :created_at)
on conflict (id) do nothing returning id;

-- name: queue_job!
insert into print_jobs (id, site_id, badge_id, visit_id, printer_id, state, not_before, expires_at, created_at, updated_at)
values (:id, :site_id, :badge_id, :visit_id, :printer_id, 'queued', :not_before, :expires_at, :created_at, :created_at);

-- name: job^
select * from print_jobs where id = :id;

-- name: claim^
update print_jobs set worker = :worker, lease_until = now() + make_interval(secs => :lease::float8), updated_at = now()
where id = (
  select id from print_jobs
  where printer_id = :printer_id and state = 'queued' and (not_before is null or not_before <= now())
    and (lease_until is null or lease_until < now())
  order by created_at, id for update skip locked limit 1
)
returning *;

-- name: renew$
update print_jobs set lease_until = now() + make_interval(secs => :lease::float8)
where id = :id and worker = :worker and state in ('queued', 'sending') returning id;

-- name: sending^
update print_jobs set state = 'sending', reason = '', lease_until = now() + make_interval(secs => :lease::float8), updated_at = now()
where id = :id and worker = :worker and state = 'queued' returning *;

-- name: release^
update print_jobs set state = 'queued', reason = :reason, attempts = :attempts, not_before = :not_before, worker = null,
  lease_until = null, updated_at = now()
where id = :id and worker = :worker and state in ('queued', 'sending') returning *;

-- name: finish^
update print_jobs set state = :state, reason = :reason, confirmed = :confirmed, lease_until = null, updated_at = now(),
  printed_at = case when :state = 'printed' then now() end
where id = :id and worker = :worker and state in ('queued', 'sending', 'doubtful') returning *;

-- name: take_over!
-- For the one process that holds the printing lock: whoever else had a lease is dead, or no longer the one that prints.
update print_jobs set lease_until = now() - interval '1 second'
where state in ('queued', 'sending') and worker is not null and worker <> :worker and lease_until is not null;

-- name: free_dead!
update print_jobs set worker = null, lease_until = null, updated_at = now()
where state = 'queued' and lease_until is not null and (lease_until < now() or (:own and worker = :worker));

-- name: doubt_dead
update print_jobs set state = 'doubtful', lease_until = null, reason = :reason, updated_at = now()
where state = 'sending' and (lease_until is null or lease_until < now() or (:own and worker = :worker)) returning *;

-- name: cancel^
update print_jobs set state = 'cancelled', reason = :reason, worker = null, lease_until = null, updated_at = now()
where id = :id and state = 'queued' returning *;

-- name: cancel_badge
update print_jobs set state = 'cancelled', reason = :reason, worker = null, lease_until = null, updated_at = now()
where badge_id = :badge_id and state = 'queued' returning *;

-- name: settle^
update print_jobs set state = :state, reason = :reason, worker = null, lease_until = null, updated_at = now(),
  printed_at = case when :state = 'printed' then now() end
where id = :id and state = 'doubtful' returning *;

-- name: move
update print_jobs set printer_id = :to_printer, reason = :reason, worker = null, lease_until = null, updated_at = now()
where printer_id = :printer_id and state = 'queued' and (lease_until is null or lease_until < now()) returning *;

-- name: waiting$
select count(*) from print_jobs where printer_id = :printer_id and state in ('queued', 'sending');

-- name: doubtful
select * from print_jobs where printer_id = :printer_id and state = 'doubtful' order by created_at, id;

-- name: last_job_of_badge^
select * from print_jobs where badge_id = :badge_id order by created_at desc, id desc limit 1;

-- name: jobs
select j.id, j.site_id, j.badge_id, j.visit_id, j.printer_id, j.state, j.reason, j.attempts, j.confirmed, j.created_at, j.updated_at,
  j.printed_at, coalesce(b.number, 0) as number
from print_jobs j left join badges b on b.site_id = j.site_id and b.id = j.badge_id
where j.site_id = :site_id and (j.state in ('queued', 'sending', 'doubtful') or j.created_at > :since)
order by j.created_at desc, j.id desc limit :limit;

-- name: one_job^
select j.id, j.site_id, j.badge_id, j.visit_id, j.printer_id, j.state, j.reason, j.attempts, j.confirmed, j.created_at, j.updated_at,
  j.printed_at, coalesce(b.number, 0) as number
from print_jobs j left join badges b on b.site_id = j.site_id and b.id = j.badge_id
where j.id = :id;

-- name: to_look_at
-- What waits for a person: a badge in doubt, and one in force that was not printed and has no later job.
select j.id, j.site_id, j.badge_id, j.visit_id, j.printer_id, j.state, j.reason, j.attempts, j.confirmed, j.created_at, j.updated_at,
  j.printed_at, coalesce(b.number, 0) as number
from print_jobs j left join badges b on b.site_id = j.site_id and b.id = j.badge_id
where j.site_id = :site_id and (j.state = 'doubtful' or j.state = 'failed' and b.status = 'issued' and b.expires_at > now()
  and not exists (select 1 from print_jobs later where later.badge_id = j.badge_id and (later.created_at, later.id) > (j.created_at, j.id)))
order by j.created_at, j.id;

-- name: oldest_age$
select coalesce(extract(epoch from now() - min(created_at)), 0)::float8 from print_jobs where state in ('queued', 'sending');

-- name: purge_jobs!
delete from print_jobs where state in ('printed', 'failed', 'cancelled') and updated_at < :before;

-- ── lines ────────────────────────────────────────────────────────────────────────────────────────────────────

-- name: set_hold!
insert into print_lines (printer_id, site_id, hold_reason, updated_at) values (:printer_id, :site_id, :reason, now())
on conflict (printer_id) do update set hold_reason = excluded.hold_reason, updated_at = now();

-- name: hold$
select hold_reason from print_lines where printer_id = :printer_id;

-- name: set_line$
-- Gives a row only when what a desk shows has changed.
insert into print_lines (printer_id, site_id, condition, problem, paper, updated_at)
values (:printer_id, :site_id, :condition, :problem, :paper, now())
on conflict (printer_id) do update
set condition = excluded.condition, problem = excluded.problem, paper = excluded.paper, updated_at = now()
where (print_lines.condition, print_lines.problem, print_lines.paper) is distinct from (excluded.condition, excluded.problem, excluded.paper)
returning printer_id;

-- name: site_of_printer$
select site_id from printers where id = :printer_id;

-- name: lines
select p.id as printer_id, l.hold_reason, coalesce(l.condition, 'idle') as condition, coalesce(l.problem, '') as problem,
  coalesce(l.paper, 'unknown') as paper,
  (select count(*) from print_jobs j where j.printer_id = p.id and j.state in ('queued', 'sending'))::int as waiting
from printers p left join print_lines l on l.printer_id = p.id
where p.retired_at is null and (:site_id::uuid is null or p.site_id = :site_id);

-- name: printing_somewhere$
-- Whether a living process holds the printing lock of this database.
select exists (
  select 1 from pg_locks where locktype = 'advisory' and objsubid = 1 and classid = 0 and objid = :lock::bigint::oid
    and database = (select oid from pg_database where datname = current_database()) and granted
);

-- name: node^
select role, site_id from node;

-- name: try_lock$
select pg_try_advisory_lock(:lock::bigint);
