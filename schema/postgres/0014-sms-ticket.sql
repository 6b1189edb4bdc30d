-- Codes that a provider made itself: which one, and by what it knows the request. Null where the code is ours.
-- owner: account (verification-store)
-- breaking: no

alter table verification add column provider text;
alter table verification add column ticket text;
