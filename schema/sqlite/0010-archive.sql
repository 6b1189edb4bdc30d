-- What reading and managing archives needs beside the log: the way from a message's own id to its entry, what each owner wants
-- archived (XEP-0441), and how much an archive holds.
-- owner: inbox (archive-store)
-- breaking: no

-- Stands for the stanza's id, see inbox/message-key.ts; null: it has none, or is from before this column.
alter table entry add column message integer;
-- One conversation of an archive, in order; a message id is looked for among its index rows, without a look at the entries.
drop index entry_contact;
create index entry_contact on entry (account_id, contact, id, message) where archived = 1;

-- No row: everything is archived.
create table archive_preference (
  account_id integer primary key references account on delete cascade,
  rule text not null check (rule in ('always', 'never', 'roster')),
  lists text not null -- JSON: {"always": [JID, …], "never": [JID, …]}
) strict;

-- What housekeeping has counted of an archive: entries up to `counted_to` and the bytes of their payloads.
create table archive_usage (
  account_id integer primary key references account on delete cascade,
  counted_to integer not null,
  entries integer not null,
  bytes integer not null
) strict;
