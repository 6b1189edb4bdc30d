-- Not only accounts ask: servers elsewhere, and addresses of the web, spend from budgets of their own.
-- owner: account (lookup-store)
-- breaking: no

create table lookup_of_all (
  -- A hash of asker and target, so it is nobody else's.
  target text not null primary key,
  account_id integer references account on delete cascade,
  -- Keyed hash of an asker who has no account here; then account_id is null.
  asker text,
  at integer not null, -- ms since the epoch; when it was new
  check ((account_id is null) <> (asker is null))
) strict, without rowid;
insert into lookup_of_all (target, account_id, at) select target, account_id, at from lookup;
drop table lookup;
alter table lookup_of_all rename to lookup;
create index lookup_spent on lookup (account_id, at) where account_id is not null;
create index lookup_spent_elsewhere on lookup (asker, at) where asker is not null;
create index lookup_at on lookup (at);
