-- How many messages there are, by quarter of an hour and group. Messages are few, so the sums move
-- with each of them and have no tail.
create table sms_quarter_hour (
    start_ms integer not null,
    sim_group text not null,
    records integer not null,
    primary key (start_ms, sim_group)
) strict, without rowid;

insert into sms_quarter_hour (start_ms, sim_group, records)
select event_ms - event_ms % 900000, sim_group, count(*) from sms group by 1, 2;

create trigger sms_counted after insert on sms begin
    insert into sms_quarter_hour (start_ms, sim_group, records)
    values (new.event_ms - new.event_ms % 900000, new.sim_group, 1)
    on conflict (start_ms, sim_group) do update set records = records + 1;
end;

create trigger sms_uncounted after delete on sms begin
    update sms_quarter_hour set records = records - 1
    where start_ms = old.event_ms - old.event_ms % 900000 and sim_group = old.sim_group;
    delete from sms_quarter_hour
    where start_ms = old.event_ms - old.event_ms % 900000 and sim_group = old.sim_group
        and records = 0;
end;
