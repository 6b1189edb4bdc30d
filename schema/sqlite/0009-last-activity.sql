-- When each account's last session ended (XEP-0012).
-- owner: account (last-seen-store)
-- breaking: no

create table last_seen (
  account_id integer primary key references account on delete cascade,
  at integer not null -- ms since the epoch
) strict;
