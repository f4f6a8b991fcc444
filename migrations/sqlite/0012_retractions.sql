-- What was pushed under one `datePush` and taken out again. What still comes under it is set aside.
create table retracted (
    id integer primary key,            -- from the one sequence
    at_ms integer not null,
    date_push_s integer not null,
    source blob not null               -- the one address that is meant, 4 or 16 bytes; empty: any
) strict;
