-- What each stored record came with: who sent its push, and the second that was signed. One row for
-- neighbouring records of one commit that share both; a push of which nothing was new has none.
create table push (
    date_push_s integer not null,
    id integer not null,               -- of its first record
    ids integer not null,              -- its records are among so many ids, from that one on
    source blob not null,              -- the address, 4 or 16 bytes; empty where it is not known
    primary key (date_push_s, id)
) strict, without rowid;

insert into push (date_push_s, id, ids, source)
select date_push_s, min(id), max(id) - min(id) + 1, x''
from (
    select date_push_s, received_ms, id from usage
    union all select date_push_s, received_ms, id from sms
    union all select date_push_s, received_ms, id from notification)
where date_push_s <> 0 group by date_push_s, received_ms;
