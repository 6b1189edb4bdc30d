-- Not only accounts ask: servers elsewhere, and addresses of the web, spend from budgets of their own.
-- owner: account (lookup-store)
-- breaking: no

alter table lookup drop constraint lookup_pkey;
-- A target is a hash of asker and target, so it is nobody else's.
alter table lookup add primary key (target);
alter table lookup alter column account_id drop not null;
-- Keyed hash of an asker who has no account here; then account_id is null.
alter table lookup add column asker text collate "C";
alter table lookup add constraint lookup_one_asker check ((account_id is null) <> (asker is null));
create index lookup_spent_elsewhere on lookup (asker, at) where asker is not null;
