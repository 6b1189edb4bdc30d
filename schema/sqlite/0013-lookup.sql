-- Whom each account has asked about lately: asking about somebody new costs, asking again does not. Targets are keyed hashes, other
-- ones for each asker: nobody's phone book is stored.
-- owner: account (lookup-store)
-- breaking: no

create table lookup (
  account_id integer not null references account on delete cascade,
  target text not null,
  at integer not null, -- ms since the epoch; when it was new
  primary key (account_id, target)
) strict, without rowid;
-- What an account has spent.
create index lookup_spent on lookup (account_id, at);
create index lookup_at on lookup (at);
