-- Other servers of the network, as the operator lists them.
-- owner: keys (network-store)
-- breaking: no

create table network_server (
  domain text primary key,
  fingerprint text not null check (length(fingerprint) = 40),
  added_at integer not null -- ms since the epoch
) strict, without rowid;
