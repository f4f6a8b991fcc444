-- Refused pushes that are not in a ring, by the hour they came or were pushed out in: what is told
-- of the last day. `ring_dropped` counts all of them.
create table dropped_push (
    hour_ms integer not null,
    ring text not null,
    reason text not null,
    pushes integer not null,
    primary key (hour_ms, ring, reason)
) strict, without rowid;
