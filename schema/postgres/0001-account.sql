-- Accounts and what each keeps of its password (RFC 5802, section 3).
-- owner: account
-- breaking: no

create table account (
  id bigint generated always as identity primary key,
  jid text collate "C" not null unique check (octet_length(jid) <= 2047),
  domain text collate "C" not null,
  is_number smallint not null,
  created_at bigint not null,
  disabled_at bigint,
  delivery text check (delivery in ('first-come', 'exclusive', 'every-device')),
  fingerprint text check (length(fingerprint) = 40)
);
-- Pages of a domain's accounts.
create index account_domain on account (domain, jid);

create table credential (
  account_id bigint not null references account on delete cascade,
  mechanism text not null,
  salt bytea not null,
  iterations int not null,
  stored_key bytea not null,
  server_key bytea not null,
  primary key (account_id, mechanism)
);
