-- Secret keys, as their owners encrypted them, on their way to another device.
-- owner: keys (transfers)
-- breaking: no

create table key_transfer (
  account_id bigint primary key references account on delete cascade,
  token_hash bytea not null unique check (octet_length(token_hash) = 32),
  ring bytea not null check (octet_length(ring) <= 65536),
  expires_at bigint not null
);
create index key_transfer_expiry on key_transfer (expires_at);
