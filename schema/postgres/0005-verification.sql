-- Codes on their way to phone numbers, and what sending and trying them may still cost. Names of rows are keyed hashes:
-- neither numbers nor addresses are stored. Times are ms since the epoch.
-- owner: account (verification-store)
-- breaking: no
create table verification (
  subject    bytea  primary key,
  state      text   not null check (state in ('requested', 'sent', 'confirmed', 'expired', 'locked')),
  code_hash  bytea  not null,
  tries      int    not null default 0,
  expires_at bigint not null
);
create index verification_expires_at on verification (expires_at);

create table budget (
  kind      text   not null,
  key       bytea  not null,
  window_ms bigint not null,
  spent     int    not null,
  ends_at   bigint not null,
  primary key (kind, key, window_ms)
);
create index budget_ends_at on budget (ends_at);
