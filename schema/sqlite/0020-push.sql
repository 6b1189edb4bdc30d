-- Devices that can be woken when a message waits for them.
-- owner: push (push-store)
-- breaking: no

create table push_device (
  account_id integer not null references account on delete cascade,
  device text not null, -- resourcepart
  provider text not null, -- the vendor's service, as the client calls it
  token text not null check (octet_length(token) <= 4096),
  used_at integer not null, -- ms since the epoch
  woken_at integer, -- ms since the epoch
  primary key (account_id, device, provider)
) strict, without rowid;
create index push_device_used on push_device (used_at);
