-- Of a SIM that only the list beside the database names not even the hash is known: the list names it
-- by HMAC with the store's erasure_secret.
create table erased_by_list (
    id integer primary key,            -- from the one sequence
    at_ms integer not null,
    giccid_sha256 text unique,         -- not known of a SIM that only the list names
    giccid_hmac text,
    listed_as text unique,             -- how the list names a SIM whose hash is not known
    came_again integer not null,       -- records and bodies that came since, and were not kept
    lifted_ms integer,
    pending text                       -- the number, until all of it is gone
) strict;
insert into erased_by_list (id, at_ms, giccid_sha256, giccid_hmac, came_again, lifted_ms, pending)
select id, at_ms, giccid_sha256, giccid_hmac, came_again, lifted_ms, pending from erased;
drop table erased;
alter table erased_by_list rename to erased;
