-- From where, how it ended, and what else there is to say. `target` is what was changed.
alter table audit add column source text not null default '';
alter table audit add column outcome text not null default 'done';
alter table audit add column details text not null default '';
-- How often, where the same is counted in one row.
alter table audit add column count integer not null default 1;

update audit set action = 'retract.lift' where action = 'lift retraction';
update audit set action = 'sign_in' where action = 'sign_in.session';
update audit set source = target, target = '' where action in ('sign_in', 'sign_in.link');

create index audit_by_time on audit (at_ms);
-- Failed sign-ins are counted in a row for each minute and source.
create index audit_of_failures on audit (at_ms, source) where action = 'sign_in.failed';
