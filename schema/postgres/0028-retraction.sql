-- Retractions (XEP-0424) that were committed and not carried out yet: written in the transaction of the message, removed in that of
-- the tombstone. So a crash between the two loses none.
-- owner: inbox (archive-store)
-- breaking: no

create table retraction (
  account_id bigint not null references account on delete cascade,
  id bigint not null, -- of the retraction in the account's log; what it takes back lies below
  wish text not null, -- JSON: inbox/archive.ts, KeptRetraction without its id
  primary key (account_id, id)
);
