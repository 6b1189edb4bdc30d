-- When a key is over by itself; null: never, or what it had opened has ended. Of keys from before this it is known from their next login on.
-- owner: keys
-- breaking: no

alter table public_key add column expires_at bigint;
create index public_key_expires on public_key (expires_at) where expires_at is not null;
