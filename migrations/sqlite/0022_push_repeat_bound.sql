-- A sender that repeats one body for years must not add a row each time. Of one record at most 256
-- seconds are kept, and of one second at most 16 sources. One row stands for all others: without a
-- source it is the whole second that brought the record, too; without a second (0) it is pushes that no
-- retraction names, so that the record stays.
create trigger push_repeat_bounded before insert on push_repeat when new.date_push_s <> 0
begin
    insert or ignore into push_repeat (id, date_push_s, source)
    select new.id, new.date_push_s, x''
    where (
        select count(*) from push_repeat
        where id = new.id and date_push_s = new.date_push_s) >= 16;
    select raise(ignore) where exists (
        select 1 from push_repeat
        where id = new.id and date_push_s = new.date_push_s and source = x'');

    insert or ignore into push_repeat (id, date_push_s, source)
    select new.id, 0, x''
    where not exists (select 1 from push_repeat where id = new.id and date_push_s in (0, new.date_push_s))
        and (select count(distinct date_push_s) from push_repeat where id = new.id) >= 256;
    select raise(ignore)
    where exists (select 1 from push_repeat where id = new.id and date_push_s = 0)
        and not exists (
            select 1 from push_repeat where id = new.id and date_push_s = new.date_push_s);
end;
