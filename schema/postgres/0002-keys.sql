-- OpenPGP keys: of accounts, as others get them, and of the server, sealed by the root secret.
-- owner: keys
-- breaking: no

create table public_key (
  account_id bigint primary key references account on delete cascade,
  fingerprint text collate "C" not null check (length(fingerprint) = 40),
  ring bytea not null check (octet_length(ring) <= 65536)
);

create table server_key (
  fingerprint text collate "C" primary key check (length(fingerprint) = 40),
  ring bytea not null,
  sealed bytea not null,
  created_at bigint not null,
  -- 1 for the key that certifies, null for those that only verify: unique, so there is one at most.
  is_current smallint unique check (is_current = 1)
);
