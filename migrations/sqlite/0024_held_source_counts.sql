-- How often each source sent a held push. The one in held has what the others here leave of its count.
alter table held_source add column count integer not null default 1;

-- How many are kept is now bounded by the one statement that adds them: it counts, too.
drop trigger held_source_bounded;
