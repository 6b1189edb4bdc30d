-- Where codes were confirmed: prefixes of numbers, ranges of the net (both as keyed hashes) and countries. Those that prove
-- themselves have a share of the budgets that floods cannot take. Times are ms since the epoch.
-- owner: account (verification-store)
-- breaking: no

create table reputation (
  kind text collate "C" not null check (kind in ('prefix', 'range', 'country')),
  key text collate "C" not null,
  sent int not null,
  confirmed int not null,
  ends_at bigint not null, -- then both are halved
  primary key (kind, key)
);
create index reputation_ends_at on reputation (ends_at);
-- What is to be counted when the code is confirmed, as JSON.
alter table verification add column sources text;
