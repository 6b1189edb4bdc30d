-- What was taken over from another server, so that doing it again takes nothing twice and brings nobody back. Addresses are keyed hashes.
-- owner: account (import-store)
-- breaking: no

create table import_mark (
  mark text primary key,
  -- The account that was made then; there may be another one of its name by now.
  account_id integer not null,
  has_key integer not null default 0,
  has_roster integer not null default 0,
  has_blocks integer not null default 0,
  last_message integer not null default 0 -- the other server's id
) strict, without rowid;
