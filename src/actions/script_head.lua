-- The beginning of every script. What follows defines `act`, which returns the reply or raises an error.
--
-- No shebang: with one, a server above `maxmemory` refuses a script, and trimming makes room.

-- Before 7.0 a script that calls XPENDING may write only if its effects are replicated.
if redis.replicate_commands then redis.replicate_commands() end

-- The command that is being executed, and its first argument: Redis 7.0 does not say which command a script may not run.
local command, argument

-- Executes a command of the server. An error ends the script, unless `pcall` catches it: `text_of` makes a text of it.
local function call(...)
  command, argument = ...
  return redis.call(...)
end

-- The text of an error: from Redis 7.0 on a command that fails raises a table. The first word must be the code; before 7.0 the place in the
-- script comes first.
local function text_of(raised)
  local text = type(raised) == 'table' and raised.err or tostring(raised)
  text = text:gsub('^@user_script: ?%d+: %-?', '')
  if text:find("can't run this command") then
    local is_container = command == 'XINFO' or command == 'XGROUP'
    text = text .. " '" .. (is_container and command .. '|' .. argument or command):lower() .. "'"
  end
  return text
end

