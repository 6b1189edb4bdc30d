-- Accounts and what each keeps of its password (RFC 5802, section 3).
-- owner: account
-- breaking: no

create table account (
  -- autoincrement: the id of a removed account is never given again.
  id integer primary key autoincrement,
  jid text not null unique check (octet_length(jid) <= 2047),
  domain text not null,
  is_number integer not null,
  created_at integer not null,
  disabled_at integer,
  delivery text check (delivery in ('first-come', 'exclusive', 'every-device')),
  fingerprint text check (length(fingerprint) = 40)
) strict;
-- Pages of a domain's accounts.
create index account_domain on account (domain, jid);

create table credential (
  account_id integer not null references account on delete cascade,
  mechanism text not null,
  salt blob not null,
  iterations integer not null,
  stored_key blob not null,
  server_key blob not null,
  primary key (account_id, mechanism)
) strict, without rowid;
