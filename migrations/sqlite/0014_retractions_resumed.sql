-- Whether a retraction still goes on. One that was cut short is finished by the next start; of those
-- that an earlier version began nobody can say, so that each is looked at once more.
alter table retracted add column pending integer not null default 0;
update retracted set pending = 1;

-- From when on what comes under it is kept again. What was taken out stays so.
alter table retracted add column lifted_ms integer;

-- Cards that a retraction took records of, until their first and last record have been found among
-- those that are left.
create table retracted_card (card_id integer primary key) strict;

-- What pruned records say of a SIM: it outlives them, as their sums do.
create table sim_pruned (
    sim_id integer primary key,
    first_ms integer not null,
    last_ms integer not null,
    usage_ms integer,
    series_id integer
) strict;

-- Of what was pruned before nobody can say what it told of a card: all that is known is taken for it.
insert into sim_pruned (sim_id, first_ms, last_ms, usage_ms, series_id)
select sim.id, card_seen.first_ms,
    iif(sim.id = card_seen.sim_id, card_seen.last_ms, card_seen.first_ms),
    iif(sim.id = card_seen.sim_id, card_seen.usage_ms, null),
    iif(sim.id = card_seen.sim_id, card_seen.series_id, null)
from card_seen join sim on sim.card_id = card_seen.card_id
where exists (select 1 from kept);

-- A SIM's first and last message, without looking at those in between.
create index sms_of_sim_by_time on sms (sim_id, event_ms);

-- A push that brought what another one had brought before. When that one is retracted the record
-- stays, as this one's.
create table push_repeat (
    id integer not null,               -- of the record
    date_push_s integer not null,
    source blob not null,              -- as in push
    primary key (id, date_push_s, source)
) strict, without rowid;
create index push_repeat_by_date on push_repeat (date_push_s, source);

-- It guards the sums against overflow. What was retracted or erased is in none of them any more.
update tally set data_usage = (
    select coalesce(sum(data_usage), 0) from (
        select data_usage from usage_quarter_hour
        union all
        select data_usage from usage
        where id > (select complete_to from mark where summary = 'sums')))
where kind = 'data-usage';
