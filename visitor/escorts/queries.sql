-- name: add!
insert into escorts (site_id, id, visit_id, staff_id, state, asked_at, accepted_at)
values (:site_id, :id, :visit_id, :staff_id, :state, :asked_at, :accepted_at);

-- name: current^
select site_id, id, visit_id, staff_id, state, asked_at, accepted_at, ended_at from escorts
where site_id = :site_id and visit_id = :visit_id and state in ('asked', 'accepted') order by id desc limit 1 for update;

-- name: any_current$
select exists (select 1 from escorts where site_id = :site_id and visit_id = :visit_id and state in ('asked', 'accepted'));

-- name: accept!
update escorts set state = 'accepted', staff_id = :staff_id, accepted_at = :now where site_id = :site_id and id = :id;

-- name: end!
update escorts set state = :state, ended_at = :now where site_id = :site_id and id = :id;

-- name: open
select site_id, id, visit_id, staff_id, state, asked_at, accepted_at, ended_at from escorts
where state in ('asked', 'accepted') and (:site_id::uuid is null or site_id = :site_id) order by asked_at;

-- name: of_visit
select site_id, id, visit_id, staff_id, state, asked_at, accepted_at, ended_at from escorts
where site_id = :site_id and visit_id = :visit_id order by id;

-- name: site_of_visit$
select site_id from escorts where visit_id = :visit_id limit 1;
