-- What an account that is gone has left in `entry` goes after it, some at a time: there may be so much of it that whoever removes the
-- account, or takes its place, would wait too long.
-- owner: inbox
-- breaking: no

create table removed_log (
  account_id bigint primary key -- no account's any more, nor ever again
);

drop trigger log_removed on log;
drop function remove_entries();
create function note_removed_log() returns trigger language plpgsql as $$
begin
  insert into removed_log (account_id) values (old.account_id) on conflict do nothing;
  return null;
end $$;
create trigger log_removed after delete on log for each row execute function note_removed_log();
