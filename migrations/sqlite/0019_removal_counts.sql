-- What a retraction or an erasure took away so far, and its row in the audit, so that one that was cut
-- short tells all of it in the end. Null where an earlier version began it: nobody counted.
alter table retracted add column audit_id integer;
alter table retracted add column data_usage integer;
alter table retracted add column mo_sms integer;
alter table retracted add column notifications integer;
alter table retracted add column stored_again integer;

alter table erased add column audit_id integer;
alter table erased add column data_usage integer;
alter table erased add column mo_sms integer;
alter table erased add column notifications integer;
alter table erased add column held integer;
