-- A SIM can be erased again after a lift. What its earlier erasures took away and when the first one
-- was stay in its row; data_usage and the other counts are those of the last one.
alter table erased add column first_at_ms integer;   -- null: at_ms
alter table erased add column earlier_data_usage integer not null default 0;
alter table erased add column earlier_mo_sms integer not null default 0;
alter table erased add column earlier_notifications integer not null default 0;
alter table erased add column earlier_held integer not null default 0;
