-- Who may not write to an account (XEP-0191), and what was reported to the operator meanwhile (XEP-0377).
-- owner: roster
-- breaking: no

create table block (
  account_id integer not null references account on delete cascade,
  jid text not null check (octet_length(jid) <= 3071),
  primary key (account_id, jid)
) strict, without rowid;

create table report (
  -- autoincrement: the id of a report that is gone is never given again.
  id integer primary key autoincrement,
  at integer not null, -- ms since the epoch
  account_id integer not null references account on delete cascade, -- who reports
  reported text not null check (octet_length(reported) <= 3071),
  reason text not null check (reason in ('spam', 'abuse', 'other')),
  text text not null,
  messages text not null, -- JSON: an array of {by, id}
  to_origin integer not null,
  to_third_party integer not null
) strict;
create index report_account on report (account_id, id);
create index report_at on report (at);
