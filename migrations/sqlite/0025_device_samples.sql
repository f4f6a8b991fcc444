-- A sample that says the same as the one before it, but for clocks that run on, has no row of its own:
-- it moves the end of that one's row. What an earlier version has written has no end: it is one sample.
alter table device_history add column until_ms integer;     -- of the last sample
alter table device_history add column samples integer;      -- how many there were
alter table device_history add column has_own_time integer; -- whether they say their times; else when they came
alter table device_history add column facts_h integer;      -- 64 bits of the digest of all but clocks
alter table device_history add column up_s integer;         -- for how long the router was up at the last
alter table device_history add column link_up_s integer;    -- … and its link
alter table device add column status_has_own_time integer;

-- What was said before may be said again.
drop index device_history_key;
-- Changes of state go by age, too.
create index device_history_states on device_history (device_id, at_ms) where what = 'state';

-- The newest time that our clock and RCMS's had both reached, and the newest number of a router that was
-- forgotten: it is not given again.
alter table fleet add column reached_ms integer;
alter table fleet add column forgotten_id integer not null default 0;
