-- Secret keys, as their owners encrypted them, on their way to another device.
-- owner: keys (transfers)
-- breaking: no

create table key_transfer (
  account_id integer primary key references account on delete cascade,
  token_hash blob not null unique check (octet_length(token_hash) = 32),
  ring blob not null check (octet_length(ring) <= 65536),
  expires_at integer not null
) strict;
create index key_transfer_expiry on key_transfer (expires_at);
