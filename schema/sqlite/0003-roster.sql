-- Who knows whom (RFC 6121, section 2), with versions.
-- owner: roster
-- breaking: no

-- One row per account that ever had a contact; its lock is the roster's.
create table roster (
  account_id integer primary key references account on delete cascade,
  version integer not null,
  -- What changed up to this version is no longer known: the tombstones are gone.
  forgotten integer not null default 0
) strict;

create table roster_item (
  account_id integer not null references account on delete cascade,
  contact text not null check (octet_length(contact) <= 2047),
  name text,
  groups text not null, -- JSON: an array of strings
  subscription text not null check (subscription in ('none', 'to', 'from', 'both')),
  pending_out integer not null,
  pending_in blob,
  approved integer not null,
  listed integer not null,
  version integer not null,
  removed integer not null, -- a tombstone: only contact and version mean something
  primary key (account_id, contact)
) strict, without rowid;
