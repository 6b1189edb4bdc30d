-- What an account that is gone has left in `entry` goes after it, some at a time: there may be so much of it that whoever removes the
-- account, or takes its place, would wait too long.
-- owner: inbox
-- breaking: no

create table removed_log (
  account_id integer primary key -- no account's any more, nor ever again
) strict;

drop trigger log_removed;
create trigger log_removed after delete on log begin
  insert or ignore into removed_log (account_id) values (old.account_id);
end;
