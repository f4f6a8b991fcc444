-- From when the age of a held push counts, where its own `received_ms` was read from a clock that is
-- not known to have been right: the first time at which it was known to be right again.
alter table held add column age_from_ms integer;

-- Up to this id the ages of held pushes are settled.
insert or ignore into meta (name, value)
select 'held_age_settled_id', cast(max(id) as text) from held having max(id) is not null;

drop index held_by_age;
create index held_by_age on held (class, coalesce(age_from_ms, received_ms));
