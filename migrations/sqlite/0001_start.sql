-- Times are milliseconds since 1970, UTC, unless a name says otherwise. A text that was not sent
-- is '', so that it can stand in a key.

-- What belongs to the store as a whole: its epoch, the time zone of its days.
create table meta (name text primary key, value text not null) strict, without rowid;

-- The one sequence over all kinds of record. Its row is the high-water mark: ids are never used
-- twice, and their order is the order of commit.
create table seq (one integer primary key check (one = 1), last integer not null) strict;
insert into seq (one, last) values (1, 0);

-- How far each summary of the usage records has come: it is complete up to this id, and what came
-- after is its tail. keys: usage_key; sums: usage_quarter_hour and usage_hour; sims: usage_sim_day
-- and sim_seen.
create table mark (summary text primary key, complete_to integer not null) strict, without rowid;
insert into mark (summary, complete_to) values ('keys', 0), ('sums', 0), ('sims', 0);

-- What came in, by push category: a kept counter for lists that nothing filters.
create table tally (
    kind text primary key,
    records integer not null,
    data_usage integer not null,
    repeats integer not null,          -- came again
    repeats_redated integer not null,  -- … under another datePush
    last_received_ms integer not null
) strict, without rowid;

-- A SIM under one subscriber, and a network context: interned, because records repeat them.
create table sim (
    id integer primary key,
    giccid text not null,
    imsi text not null,
    unique (giccid, imsi)
) strict;
create index sim_of_imsi on sim (imsi);

create table series (
    id integer primary key,
    sim_group text not null,
    country_code text not null,
    mcc text not null,
    mnc text not null,
    apn text not null,
    unique (sim_group, country_code, mcc, mnc, apn)
) strict;

create table usage (
    id integer primary key,
    received_ms integer not null,
    sim_id integer not null,
    series_id integer not null,
    start_ms integer not null,
    data_usage integer not null,
    duration integer,
    date_push_s integer not null,
    h integer not null,                -- 64 bits of the record's digest
    extra text
) strict;

-- Uniqueness behind the record's own time, and each SIM's history.
create table usage_key (
    day integer not null,              -- of start_ms, days since 1970, UTC
    sim_id integer not null,
    start_ms integer not null,
    h integer not null,
    id integer not null,
    primary key (day, sim_id, start_ms, h)
) strict, without rowid;

create table usage_quarter_hour (
    start_ms integer not null,
    series_id integer not null,
    data_usage integer not null,
    records integer not null,
    primary key (start_ms, series_id)
) strict, without rowid;

create table usage_hour (
    dimension text not null,           -- sim_group, country_code, network or apn
    start_ms integer not null,
    value text not null,
    data_usage integer not null,
    records integer not null,
    primary key (dimension, start_ms, value)
) strict, without rowid;

create table usage_sim_day (
    day integer not null,              -- days since 1970 in the store's time zone
    sim_id integer not null,
    data_usage integer not null,
    records integer not null,
    primary key (day, sim_id)
) strict, without rowid;

-- Own times of each SIM's first and last usage record or message.
create table sim_seen (
    sim_id integer primary key,
    first_ms integer not null,
    last_ms integer not null
) strict;

create table sms (
    id integer primary key,
    received_ms integer not null,
    sim_id integer not null,
    sim_group text not null,
    event_ms integer not null,
    from_msisdn text not null,
    to_msisdn text not null,
    date_push_s integer not null,
    h integer not null,
    extra text
) strict;
create unique index sms_key on sms (event_ms, sim_id, h);
create index sms_of_sim on sms (sim_id, id);

create table notification (
    id integer primary key,
    received_ms integer not null,
    kind text not null,
    pushed_as text,
    giccid text,
    imsi text not null,
    event_ms integer,
    key_ms integer not null,           -- event_ms, or the second of datePush
    date_push_s integer not null,
    h integer not null,
    payload text not null
) strict;
create unique index notification_key on notification (key_ms, h);
create index notification_of_kind on notification (kind, id);
create index notification_of_giccid on notification (giccid, id) where giccid is not null;

-- What our own test pushes brought. In no total.
create table test_record (
    id integer primary key,
    received_ms integer not null,
    kind text not null,
    own_ms integer not null,
    h integer not null,
    giccid text
) strict;
create unique index test_record_key on test_record (own_ms, h, kind);

-- Refused pushes (in a ring) and quarantined ones.
create table held (
    id integer primary key autoincrement,
    class text not null,
    ring text not null,                -- plausible, noise; '' for quarantined
    reason text not null,
    field text,
    kind text not null,
    source text not null,
    source_block text not null,        -- what counts as one source: the IPv4 address or IPv6 /64
    received_ms integer not null,
    bytes integer not null,
    count integer not null,
    digest blob not null,              -- the very same raises count
    body blob not null,
    signatures blob,
    unique (class, digest)
) strict;
create index held_of_source on held (ring, source_block, id);

-- Refused pushes that the rings could not keep.
create table ring_dropped (ring text primary key, pushes integer not null) strict, without rowid;

create table api_key (
    id integer primary key,
    label text not null,
    scope text not null,
    digest blob not null unique,       -- SHA-256 of the key
    created_ms integer not null,
    revoked_ms integer
) strict;

-- Who changed what through the internal listener.
create table audit (
    id integer primary key,
    at_ms integer not null,
    who text not null,
    action text not null,
    target text not null
) strict;
