-- What providers say afterwards of the codes they were given. Names of messages are random, those of reports are hashes.
-- owner: account (verification-store)
-- breaking: no

-- Reports that were taken, for as long as the same one could come again and be taken for new.
create table sms_report (
  provider text not null,
  id blob not null,
  expires_at integer not null, -- ms since the epoch
  primary key (provider, id)
) strict, without rowid;
create index sms_report_expires_at on sms_report (expires_at);

-- Who was given the code last, by which name the message is reported, and what became of it. Null where nothing is reported.
alter table verification add column carrier text;
alter table verification add column reference text;
alter table verification add column delivery text check (delivery in ('delivered', 'undelivered'));
create index verification_reference on verification (reference) where reference is not null;
