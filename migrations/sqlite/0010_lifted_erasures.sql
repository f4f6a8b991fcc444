-- From when on what comes of an erased SIM is kept again. What was erased stays so.
alter table erased add column lifted_ms integer;

-- HMAC-SHA-256 of its number with the store's erasure_secret (in meta), which nobody can guess. Not
-- known of a SIM of which only the hash is known.
alter table erased add column giccid_hmac text;
