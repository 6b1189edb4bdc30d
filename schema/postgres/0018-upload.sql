-- Files that accounts have uploaded, and room reserved for those to come. A row outlives its account: the file goes first.
-- owner: uploads
-- breaking: no

create table upload (
  id text collate "C" primary key check (length(id) = 32),
  account_id bigint references account on delete set null,
  name text not null,
  type text not null,
  size bigint not null,
  requested_at bigint not null, -- ms since the epoch
  stored_at bigint -- null: it has not come
);
-- What an account has used, and what is left of accounts that are gone.
create index upload_account on upload (account_id, requested_at);
create index upload_stored on upload (stored_at);
create index upload_waiting on upload (requested_at) where stored_at is null;
