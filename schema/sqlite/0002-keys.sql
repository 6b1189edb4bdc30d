-- OpenPGP keys: of accounts, as others get them, and of the server, sealed by the root secret.
-- owner: keys
-- breaking: no

create table public_key (
  account_id integer primary key references account on delete cascade,
  fingerprint text not null check (length(fingerprint) = 40),
  ring blob not null check (octet_length(ring) <= 65536)
) strict;

create table server_key (
  fingerprint text not null primary key check (length(fingerprint) = 40),
  ring blob not null,
  sealed blob not null,
  created_at integer not null,
  -- 1 for the key that certifies, null for those that only verify: unique, so there is one at most.
  is_current integer unique check (is_current = 1)
) strict, without rowid;
