-- What lies in the ring of stale pushes has a class of its own: what comes in time and cannot be read
-- is no repeat of it, and has a place where nothing is dropped.
update held set class = 'stale' where ring = 'stale';
