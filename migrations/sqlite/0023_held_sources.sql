-- Who else sent the very same as a held push. What one source sent is thrown away without what another
-- one did, and a record that is read from it is of all of them.
create table held_source (
    held_id integer not null,
    source text not null,              -- beside that of the row in held; empty: more than are kept
    primary key (held_id, source)
) strict, without rowid;

-- 16 sources are kept. One row stands for all others: nobody names them, so that the push stays.
create trigger held_source_bounded before insert on held_source when new.source <> ''
begin
    insert or ignore into held_source (held_id, source)
    select new.held_id, ''
    where (select count(*) from held_source where held_id = new.held_id) >= 16
        and not exists (
            select 1 from held_source where held_id = new.held_id and source = new.source);
    select raise(ignore) where exists (
        select 1 from held_source where held_id = new.held_id and source = '');
end;

create trigger held_source_forgotten after delete on held
begin
    delete from held_source where held_id = old.id;
end;

-- Of what came more than once nobody can say any more whether one source sent all of it.
insert into held_source (held_id, source) select id, '' from held where count > 1;
