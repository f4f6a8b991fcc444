-- What lets a browser in: a link that is good once, and the session that a link or a key began. Only
-- hashes are kept: of the word that opens, and of the API key that it stands for.
create table pass (
    digest blob primary key,
    kind text not null,                -- link, session
    key_digest blob not null,
    ends_ms integer not null
) strict, without rowid;
