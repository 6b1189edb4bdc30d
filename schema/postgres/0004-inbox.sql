-- The log of each account: what it received and sent, and what of that is still open.
-- owner: inbox
-- breaking: no

-- One row per account. An entry is open while wanted and above the cursor or within a gap. Gaps end at the cursor.
create table log (
  account_id bigint primary key references account on delete cascade,
  head bigint not null,
  last bigint not null, -- the newest wanted entry; 0: there was none
  prior bigint not null, -- what `last` was before the batch that moved it: sessions tell by it whether they missed an entry
  cursor bigint not null,
  gaps int8multirange not null,
  lingers bigint -- the oldest entry that was taken but is still to be read by some session; null: there is none
) with (fillfactor = 70); -- rewritten with each batch: room for the new row beside the old one

create index log_lingers on log (account_id) where lingers is not null;

-- Ids are per account and microseconds since the epoch or a little more. When the archive comes, this becomes
-- `partition by range (id)`: the primary key serves as it is, and a month goes by dropping its partition.
-- No foreign key, which would look up the account for each row: entries are written under the lock of their log's row,
-- which has one, and go with it.
create table entry (
  account_id bigint not null,
  id bigint not null,
  at bigint not null,
  direction smallint not null, -- 0 sent, 1 received
  archived smallint not null,
  wanted smallint not null,
  contact int not null, -- stands for the peer's bare address, see inbox/contact-key.ts
  peer text not null check (octet_length(peer) <= 3071),
  payload bytea not null,
  primary key (account_id, id)
);
-- One conversation of an archive, in order.
create index entry_contact on entry (account_id, contact, id) where archived = 1;

create function remove_entries() returns trigger language plpgsql as $$
begin
  delete from entry where account_id = old.account_id;
  return null;
end $$;
create trigger log_removed after delete on log for each row execute function remove_entries();

-- Batches that were committed, with what they gave (`account:head:prior,…`): a batch whose COMMIT was not answered is tried again.
create table batch (
  id bytea primary key check (length(id) = 16),
  at bigint not null,
  logs text not null
);
create index batch_at on batch (at);

-- Per client stream, the numbers of its stanzas that were settled by a batch (XEP-0198, `h` after a crash).
create table stream_mark (
  stream bytea primary key check (length(stream) = 16),
  covered int8multirange not null,
  at bigint not null
) with (fillfactor = 70);

-- Per device of an account whose policy is every-device: all entries up to the cursor were taken by it.
create table device_cursor (
  account_id bigint not null references account on delete cascade,
  device text not null check (octet_length(device) <= 1023),
  cursor bigint not null,
  seen_at bigint not null,
  primary key (account_id, device)
);
