-- Devices that say which one they are when they log in (XEP-0388), and the tokens they reconnect with (XEP-0484).
-- Of the id a device gives only a hash is kept. A token is made of its seed by the root secret, so that neither these rows
-- nor that secret alone lets anybody in. Whatever takes an account's credentials away raises its epoch; what was proven
-- under another epoch counts no more. Times are ms since the epoch.
-- owner: account (login-store)
-- breaking: no
alter table account add column login_epoch integer not null default 0;

create table device (
  account_id     integer not null references account on delete cascade,
  agent          blob  not null,
  -- What its owner knows it by (XEP-0494).
  name           text   not null,
  software       text,
  device         text,
  -- What it has bound last.
  resource       text,
  first_seen     integer not null,
  last_seen      integer not null,
  -- The account's epoch when it has last shown the password, or the key.
  password_epoch integer,
  key_epoch      integer,
  primary key (account_id, agent)
) strict, without rowid;
create index device_last_seen on device (last_seen);

create table fast_token (
  account_id integer not null,
  agent      blob  not null,
  slot       text   not null check (slot in ('current', 'new')),
  mechanism  text   not null,
  seed       blob  not null,
  epoch      integer not null,
  issued_at  integer not null,
  expires_at integer not null,
  -- The highest count it was used with.
  count      integer not null default 0,
  primary key (account_id, agent, slot),
  foreign key (account_id, agent) references device (account_id, agent) on delete cascade
) strict, without rowid;
create index fast_token_expires_at on fast_token (expires_at);
