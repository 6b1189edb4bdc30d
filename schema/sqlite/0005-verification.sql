-- Codes on their way to phone numbers, and what sending and trying them may still cost. Names of rows are keyed hashes:
-- neither numbers nor addresses are stored. Times are ms since the epoch.
-- owner: account (verification-store)
-- breaking: no
create table verification (
  subject    blob    primary key,
  state      text    not null check (state in ('requested', 'sent', 'confirmed', 'expired', 'locked')),
  code_hash  blob    not null,
  tries      integer not null default 0,
  expires_at integer not null
) strict, without rowid;
create index verification_expires_at on verification (expires_at);

create table budget (
  kind      text    not null,
  key       blob    not null,
  window_ms integer not null,
  spent     integer not null,
  ends_at   integer not null,
  primary key (kind, key, window_ms)
) strict, without rowid;
create index budget_ends_at on budget (ends_at);
