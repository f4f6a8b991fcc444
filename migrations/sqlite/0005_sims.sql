-- A SIM, whatever its subscribers: the unit of lists and names. A row of `sim` is a card under one
-- subscriber.
create table card (
    id integer primary key,
    giccid text not null,
    -- The last digits first: one index finds a card by these and by all of them.
    giccid_reversed text not null
) strict;
insert into card (giccid, giccid_reversed)
select giccid,
    substr(giccid, -1, 1) || substr(giccid, -2, 1) || substr(giccid, -3, 1)
    || substr(giccid, -4, 1) || substr(giccid, -5, 1) || substr(giccid, -6, 1)
    || substr(giccid, -7, 1) || substr(giccid, -8, 1) || substr(giccid, -9, 1)
    || substr(giccid, -10, 1) || substr(giccid, -11, 1) || substr(giccid, -12, 1)
    || substr(giccid, -13, 1) || substr(giccid, -14, 1) || substr(giccid, -15, 1)
    || substr(giccid, -16, 1) || substr(giccid, -17, 1) || substr(giccid, -18, 1)
    || substr(giccid, -19, 1) || substr(giccid, -20, 1) || substr(giccid, -21, 1)
    || substr(giccid, -22, 1)
from sim group by giccid order by min(id);
create unique index card_by_last_digits on card (giccid_reversed);

-- Cards come in order, so a subscriber's place behind its card is mostly at the end of the index.
create table sim_of_card (
    id integer primary key,
    card_id integer not null,
    giccid text not null,
    imsi text not null,
    -- An IMSI has 15 digits at most (ITU-T E.212).
    imsi_reversed text not null
) strict;
insert into sim_of_card (id, card_id, giccid, imsi, imsi_reversed)
select sim.id, card.id, sim.giccid, sim.imsi,
    substr(imsi, -1, 1) || substr(imsi, -2, 1) || substr(imsi, -3, 1) || substr(imsi, -4, 1)
    || substr(imsi, -5, 1) || substr(imsi, -6, 1) || substr(imsi, -7, 1) || substr(imsi, -8, 1)
    || substr(imsi, -9, 1) || substr(imsi, -10, 1) || substr(imsi, -11, 1)
    || substr(imsi, -12, 1) || substr(imsi, -13, 1) || substr(imsi, -14, 1)
    || substr(imsi, -15, 1)
from sim join card on card.giccid = sim.giccid
order by sim.id;
drop table sim;
alter table sim_of_card rename to sim;
create unique index sim_by_card on sim (card_id, imsi);
create index sim_by_last_digits on sim (imsi_reversed);

-- Own times of each card's first and last usage record or message, the subscriber of the last, and
-- the last usage record with its network context. Moves with the mark `sims`, as did sim_seen,
-- whose place it takes.
create table card_seen (
    card_id integer primary key,
    first_ms integer not null,
    last_ms integer not null,
    sim_id integer not null,
    usage_ms integer,
    series_id integer
) strict;

-- Each sim's last usage record among those that the key tree has: the newest day first, and of the
-- days only those that there are.
create table known_day (day integer primary key) strict;
insert into known_day (day)
with recursive known(day) as (
    select min(day) from usage_key
    union all
    select (select min(day) from usage_key where usage_key.day > known.day)
    from known where day is not null
)
select day from known where day is not null;
create table sim_last (sim_id integer primary key, usage_id integer) strict;
insert into sim_last (sim_id, usage_id)
select sim_id, (
    select key.id from known_day
    cross join usage_key as key on key.day = known_day.day and key.sim_id = sim_seen.sim_id
    order by known_day.day desc, key.start_ms desc limit 1)
from sim_seen;

insert into card_seen (card_id, first_ms, last_ms, sim_id)
select card_id, min(first_ms), max(last_ms), 0
from sim_seen join sim on sim.id = sim_seen.sim_id group by card_id;
update card_seen set sim_id = (
    select sim.id from sim join sim_seen on sim_seen.sim_id = sim.id
    where sim.card_id = card_seen.card_id order by sim_seen.last_ms desc, sim.id desc limit 1);
update card_seen set usage_ms = last.start_ms, series_id = last.series_id
from (
    select card_id, max(start_ms) as start_ms, series_id from (
        select card_id, start_ms, series_id from sim_last
        join sim on sim.id = sim_last.sim_id join usage on usage.id = sim_last.usage_id
        union all
        select card_id, start_ms, series_id from usage join sim on sim.id = usage.sim_id
        where usage.id > (select complete_to from mark where summary = 'keys'))
    group by card_id) as last
where last.card_id = card_seen.card_id;
drop table sim_last;
drop table known_day;
drop table sim_seen;

-- Sums of each card by month, for the order by use. Moves with the mark `sims`.
create table usage_card_month (
    month integer not null,            -- year * 12 + month - 1, in the store's time zone
    card_id integer not null,
    data_usage integer not null,
    records integer not null,
    primary key (month, card_id)
) strict, without rowid;
insert into usage_card_month (month, card_id, data_usage, records)
select strftime('%Y', day * 86400, 'unixepoch') * 12
        + strftime('%m', day * 86400, 'unixepoch') - 1 as month,
    card_id, sum(data_usage), sum(records)
from usage_sim_day join sim on sim.id = usage_sim_day.sim_id group by 1, 2;

-- What people say of a SIM. It may be named before its first record.
create table sim_label (
    giccid text primary key,
    name text not null,
    device_sn text not null
) strict, without rowid;
create index sim_label_of_device on sim_label (device_sn) where device_sn <> '';
create index sim_label_by_name on sim_label (lower(name)) where name <> '';

-- To find a message by its number. Messages are few.
create index sms_from on sms (from_msisdn);
create index sms_to on sms (to_msisdn);
