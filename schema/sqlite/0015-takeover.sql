-- Who proves a number that has an account: what stands between the two, and when accounts were used last. Times are ms since the
-- epoch.
-- owner: account (takeover-store, activity-store)
-- breaking: no

-- `forced`: the asker knows that the number may have an account. `claimant`: a keyed hash of the key that came with the right code;
-- from then on the code is good for this key alone, and for longer.
alter table verification add column forced integer not null default 0;
alter table verification add column claimant blob;

-- Somebody has proven the account's number. Waiting: from `ripe_at` on it is enough to prove it (again). Agreed or refused: what a
-- device of the account has said to it. What was said, or waited for, holds until `expires_at`.
create table takeover (
  account_id integer primary key references account on delete cascade,
  state text not null check (state in ('waiting', 'agreed', 'refused')),
  asked_at integer not null,
  ripe_at integer not null,
  expires_at integer not null
) strict;

-- A password without which the number is not given away while the account is in use; kept as SCRAM-SHA-256 keeps one.
create table registration_lock (
  account_id integer primary key references account on delete cascade,
  salt blob not null,
  iterations integer not null,
  stored_key blob not null,
  tries integer not null default 0,
  tries_end_at integer not null default 0
) strict;

-- When a device of the account was here last, an hour more or less.
create table last_active (
  account_id integer primary key references account on delete cascade,
  at integer not null
) strict;
create index last_active_at on last_active (at);
-- Of what was before this table nothing certain is known: it counts as used today.
insert into last_active (account_id, at) select id, unixepoch() * 1000 from account;
