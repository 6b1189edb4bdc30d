-- The log of each account: what it received and sent, and what of that is still open.
-- owner: inbox
-- breaking: no

-- One row per account. An entry is open while wanted and above the cursor or within a gap. Gaps end at the cursor.
create table log (
  account_id integer primary key references account on delete cascade,
  head integer not null,
  last integer not null, -- the newest wanted entry; 0: there was none
  cursor integer not null,
  gaps text not null, -- JSON: [[first, last], …]
  lingers integer -- the oldest entry that was taken but is still to be read by some session; null: there is none
) strict;

create index log_lingers on log (account_id) where lingers is not null;

-- Ids are per account and microseconds since the epoch or a little more. No foreign key, which would look up the account for
-- each row: entries are written in the transaction that writes their log's row, which has one, and go with it.
create table entry (
  account_id integer not null,
  id integer not null,
  at integer not null,
  direction integer not null, -- 0 sent, 1 received
  archived integer not null,
  wanted integer not null,
  contact integer not null, -- stands for the peer's bare address, see inbox/contact-key.ts
  peer text not null check (octet_length(peer) <= 3071),
  payload blob not null,
  primary key (account_id, id)
) strict; -- with rowid: a batch for many accounts fills pages in turn instead of touching one per account
-- One conversation of an archive, in order.
create index entry_contact on entry (account_id, contact, id) where archived = 1;

create trigger log_removed after delete on log begin
  delete from entry where account_id = old.account_id;
end;

-- Batches that were committed, with what they gave (JSON): a batch whose COMMIT was not answered is tried again.
create table batch (
  id blob primary key check (length(id) = 16),
  at integer not null,
  logs text not null
) strict, without rowid;
create index batch_at on batch (at);

-- Per client stream, the numbers of its stanzas that were settled by a batch (XEP-0198, `h` after a crash).
create table stream_mark (
  stream blob primary key check (length(stream) = 16),
  covered text not null, -- JSON: [[first, last], …]
  at integer not null
) strict, without rowid;

-- Per device of an account whose policy is every-device: all entries up to the cursor were taken by it.
create table device_cursor (
  account_id integer not null references account on delete cascade,
  device text not null check (octet_length(device) <= 1023),
  cursor integer not null,
  seen_at integer not null,
  primary key (account_id, device)
) strict, without rowid;
