-- The beginning of every script. What follows defines `act`, which returns the reply or raises an error.
--
-- No shebang: with one, a server above `maxmemory` refuses a script, and trimming makes room.

-- Before 7.0 a script that calls XPENDING may write only if its effects are replicated.
if redis.replicate_commands then redis.replicate_commands() end

-- The command that is being executed: Redis 7.0 does not say which one a script may not run.
local command

-- Executes a command of the server. An error ends the script, unless `pcall` catches it: `text_of` makes a text of it.
local function call(...)
  command = ...
  return redis.call(...)
end

-- The text of an error. The first word must be the code; before 7.0 the place in the script comes first.
local function text_of(raised)
  local text = tostring(raised):gsub('^@user_script: ?%d+: %-?', '')
  if text:find("can't run this command") then text = text .. " '" .. command:lower() .. "'" end
  return text
end

