-- Who knows whom (RFC 6121, section 2), with versions.
-- owner: roster
-- breaking: no

-- One row per account that ever had a contact; its lock is the roster's.
create table roster (
  account_id bigint primary key references account on delete cascade,
  version bigint not null,
  -- What changed up to this version is no longer known: the tombstones are gone.
  forgotten bigint not null default 0
);

create table roster_item (
  account_id bigint not null references account on delete cascade,
  contact text collate "C" not null check (octet_length(contact) <= 2047),
  name text,
  groups text not null, -- JSON: an array of strings
  subscription text not null check (subscription in ('none', 'to', 'from', 'both')),
  pending_out smallint not null,
  pending_in bytea,
  approved smallint not null,
  listed smallint not null,
  version bigint not null,
  removed smallint not null, -- a tombstone: only contact and version mean something
  primary key (account_id, contact)
);
