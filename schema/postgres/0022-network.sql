-- Other servers of the network, as the operator lists them.
-- owner: keys (network-store)
-- breaking: no

create table network_server (
  domain text collate "C" primary key,
  fingerprint text collate "C" not null check (length(fingerprint) = 40),
  added_at bigint not null -- ms since the epoch
);
