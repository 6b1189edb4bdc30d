-- What clients keep for themselves (XEP-0049) and for others to read (XEP-0054).
-- owner: account (private-store, vcard-store)
-- breaking: no

create table private_xml (
  account_id bigint not null references account on delete cascade,
  ns text collate "C" not null,
  name text collate "C" not null,
  payload bytea not null, -- the element, canonical XML
  primary key (account_id, ns, name)
);

create table vcard (
  account_id bigint primary key references account on delete cascade,
  payload bytea not null -- the element, canonical XML
);
