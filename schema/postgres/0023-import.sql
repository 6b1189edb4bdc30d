-- What was taken over from another server, so that doing it again takes nothing twice and brings nobody back. Addresses are keyed hashes.
-- owner: account (import-store)
-- breaking: no

create table import_mark (
  mark text collate "C" primary key,
  -- The account that was made then; there may be another one of its name by now.
  account_id bigint not null,
  has_key smallint not null default 0,
  has_roster smallint not null default 0,
  has_blocks smallint not null default 0,
  last_message bigint not null default 0 -- the other server's id
);
