-- Accounts whose OpenPGP key anybody may fetch over HTTP, because their owners said so.
-- owner: keys (listing)
-- breaking: no

create table key_listing (
  account_id bigint primary key references account on delete cascade,
  domain text collate "C" not null,
  hash text collate "C" not null, -- of the localpart, as the Web Key Directory asks for it
  unique (domain, hash)
);
-- Accounts by the ID of their key.
create index account_key_id on account (substr(fingerprint, 25));
