-- What clients keep for themselves (XEP-0049) and for others to read (XEP-0054).
-- owner: account (private-store, vcard-store)
-- breaking: no

create table private_xml (
  account_id integer not null references account on delete cascade,
  ns text not null,
  name text not null,
  payload blob not null, -- the element, canonical XML
  primary key (account_id, ns, name)
) strict;

create table vcard (
  account_id integer primary key references account on delete cascade,
  payload blob not null -- the element, canonical XML
) strict;
