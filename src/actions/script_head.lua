-- The beginning of every script. What follows defines `act`, which returns the reply or raises an error.
--
-- No shebang: with one, a server above `maxmemory` refuses a script, and trimming makes room.

-- Before 7.0 a script that calls XPENDING may write only if its effects are replicated.
if redis.replicate_commands then redis.replicate_commands() end

-- Raises an error as its text: from Redis 7.0 on pcall makes a table of it. The first word must be the code; before
-- 7.0 the place in the script comes first. Redis 7.0 does not say which command a script may not run.
local function call(command, ...)
  local reply = redis.pcall(command, ...)
  if type(reply) == 'table' and reply.err then
    local text = reply.err:gsub('^@user_script: ?%d+: %-?', '')
    if text:find("can't run this command") then text = text .. " '" .. command:lower() .. "'" end
    error(text, 0)
  end
  return reply
end

