-- Work that one node at a time does, and until when it has it. Times are ms since the epoch.
-- owner: account (activity-store)
-- breaking: no

create table lease (
  name text primary key,
  ends_at integer not null
) strict;
