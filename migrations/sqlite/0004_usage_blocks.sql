-- What lies in which stretch of the usage table, so that a question that few records answer passes
-- over those that cannot hold any. A stretch is what one move of the mark `sums` has covered.
create table usage_block (
    last_id integer primary key,
    first_id integer not null,
    start_min_ms integer not null,     -- own times are not before this …
    start_max_ms integer not null,     -- … and not after this
    received_min_ms integer not null,
    received_max_ms integer not null,
    records integer not null
) strict;

create table usage_block_series (
    last_id integer not null,
    series_id integer not null,
    records integer not null,
    primary key (last_id, series_id)
) strict, without rowid;

insert into usage_block (last_id, first_id, start_min_ms, start_max_ms, received_min_ms,
    received_max_ms, records)
select max(id), min(id), min(start_ms), max(start_ms), min(received_ms), max(received_ms), count(*)
from usage where id <= (select complete_to from mark where summary = 'sums')
group by id / 4096;

insert into usage_block_series (last_id, series_id, records)
select block.last_id, usage.series_id, count(*)
from usage_block as block cross join usage on usage.id between block.first_id and block.last_id
group by 1, 2;
