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

-- What XINFO says of one object, by the names of the fields.
local function by_field(fields)
  local object = {}
  for index = 1, #fields, 2 do object[fields[index]] = fields[index + 1] end
  return object
end

-- What the names of a dead letter's last fields end with, in this order. Each begins with the same prefix. As `FIELDS` of `DeadLetter`.
local ORIGIN = {'stream', 'group', 'id', 'consumer', 'deliveries', 'time', 'by'}

-- Whether these are the fields of a dead letter, whatever their prefix. As `DeadLetter::is`.
local function is_dead_letter(fields)
  local last = #fields - 2 * #ORIGIN
  local prefix = (fields[last + 1] or ''):match('^(.+)stream$')
  for index, name in ipairs(ORIGIN) do
    if not prefix or fields[last + 2 * index - 1] ~= prefix .. name then return false end
  end
  return true
end

