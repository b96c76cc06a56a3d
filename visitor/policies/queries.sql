-- name: current^
select id, version, body, created_at from policies where name = 'purposes' order by version desc limit 1;

-- name: version^
select id, version, body, created_at from policies where id = :id;

-- name: add^
-- Nothing comes back when another process wrote the same version first.
insert into policies (id, name, version, body, created_at) values (:id, 'purposes', :version, :body, :now)
on conflict (name, version) do nothing
returning id, version, body, created_at;
