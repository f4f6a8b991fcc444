-- How many SIMs were silent at the end of a quarter hour, counted when it ended. A SIM that sends again
-- later changes nothing here, nor does one that is erased: a count names nobody.
create table silent_count (
    at_ms integer primary key,
    sims integer not null
) strict;
