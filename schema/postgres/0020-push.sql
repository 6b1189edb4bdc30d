-- Devices that can be woken when a message waits for them.
-- owner: push (push-store)
-- breaking: no

create table push_device (
  account_id bigint not null references account on delete cascade,
  device text collate "C" not null, -- resourcepart
  provider text collate "C" not null, -- the vendor's service, as the client calls it
  token text not null check (octet_length(token) <= 4096),
  used_at bigint not null, -- ms since the epoch
  woken_at bigint, -- ms since the epoch
  primary key (account_id, device, provider)
);
create index push_device_used on push_device (used_at);
