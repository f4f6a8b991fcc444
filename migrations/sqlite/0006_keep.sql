-- What goes: by age, and because somebody asked for it.

-- Of the records that were stored, those that are kept no more: lists count what is left.
alter table tally add column gone integer not null default 0;

-- From which own time on records are kept. No row: all that ever came.
create table kept (
    what text primary key,             -- data-usage, mo-sms, notification
    from_ms integer not null
) strict, without rowid;

-- What a reader of changes has missed who is behind: of each removal the largest id that went with
-- it. One that a later removal reaches beyond is not needed.
create table removed (
    generation integer primary key,
    last_id integer not null
) strict;

-- SIMs that were erased, and stay so. The number itself is there only until all of it is gone.
create table erased (
    id integer primary key,            -- from the one sequence
    at_ms integer not null,
    giccid_sha256 text not null unique,
    came_again integer not null,       -- records and bodies that came since, and were not kept
    pending text
) strict;

-- Sums outlive the messages that they are made of.
drop trigger sms_uncounted;

-- What lies aside goes with age, too.
create index held_by_age on held (class, received_ms);
