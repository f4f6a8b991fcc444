-- The last state of a router that was known, and since when it has been that one. While nobody can
-- say, its state is unknown; if it is the same afterwards, nothing has changed.
alter table device add column known_state text;
alter table device add column known_ms integer;
