-- Whether an account's devices have been told of a claim to it: until then no time runs.
-- owner: account (takeover-store)
-- breaking: no

alter table takeover add column told integer not null default 0;
