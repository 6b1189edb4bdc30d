-- The key of each account by which what is stored of it is sealed, where encryption at rest is or was on.
-- owner: account (data-keys)
-- breaking: no

create table data_key (
  account_id integer primary key references account on delete cascade,
  operator_key text not null, -- names the operator's key that wrapped it
  wrapped blob not null check (length(wrapped) = 61) -- format, nonce, 32 bytes, tag
) strict;
-- Which operator keys are in use.
create index data_key_operator on data_key (operator_key);
