-- Routers, as RCMS tells of them, numbered in the order in which they were first seen.
create table device (
    id integer primary key,
    sn text not null unique,
    name text not null default '',
    model text not null default '',
    device_group text not null default '',
    firmware_version text not null default '',
    description text not null default '',
    create_time text not null default '',
    extra text,
    state text not null default 'unknown',
    state_ms integer not null,         -- when that was first seen
    is_listed integer not null default 0,
    listed_ms integer,                 -- when the list showed it, as far as device_seen needs it
    status_asked_ms integer,
    thinned_ms integer,                -- when its samples were last thinned
    status_ms integer,                 -- of its newest sample, whose fields follow
    status_system_time text not null default '',
    status_device_model text not null default '',
    status_firmware_version text not null default '',
    status_uptime text not null default '',
    status_ip text not null default '',
    status_gateway text not null default '',
    status_link_uptime text not null default ''
) strict;

-- RCMS's own totals, and when its list was last read to its end. That moment stands for every
-- listed device, so that a cycle in which nothing changed writes one row and not one for each.
create table fleet (
    one integer primary key check (one = 1),
    totals_ms integer,
    device_total integer,
    online_total integer,
    offline_total integer,
    registered_total integer,
    un_registered_total integer,
    user_total integer,
    listed_ms integer
) strict;
insert into fleet (one) values (1);

-- Each device with the moment at which the list last held it.
create view device_seen as
select *, iif(is_listed,
        max(coalesce(listed_ms, (select listed_ms from fleet)),
            coalesce((select listed_ms from fleet), listed_ms)),
        listed_ms) as seen_ms
from device;

-- Changes of state, and samples of what devices say of themselves. Samples get fewer with age.
create table device_history (
    id integer primary key,            -- from the one sequence
    device_id integer not null,
    at_ms integer not null,
    what text not null,                -- state, status
    state text,
    sample text,
    h integer                          -- 64 bits of the sample's digest
) strict;
create index device_history_of_device on device_history (device_id, id);
create unique index device_history_key on device_history (device_id, h) where what = 'status';
create index device_history_by_time on device_history (device_id, at_ms) where what = 'status';
