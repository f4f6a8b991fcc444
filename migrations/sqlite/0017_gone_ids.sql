-- The largest number that a card, or a card under one subscriber, ever had that is gone: no number is
-- used twice, so that what still refers to one by mistake is never taken for another SIM's.
create table gone_id (what text primary key, last integer not null) strict, without rowid;
insert into gone_id (what, last)
select 'card', max(coalesce((select max(id) from card), 0),
    coalesce((select max(card_id) from card_seen), 0));
insert into gone_id (what, last)
select 'sim', max(coalesce((select max(id) from sim), 0),
    coalesce((select max(sim_id) from sim_pruned), 0),
    coalesce((select max(sim_id) from card_seen), 0));

create trigger card_gone after delete on card
when old.id > (select last from gone_id where what = 'card') begin
    update gone_id set last = old.id where what = 'card';
end;
create trigger sim_gone after delete on sim
when old.id > (select last from gone_id where what = 'sim') begin
    update gone_id set last = old.id where what = 'sim';
end;
