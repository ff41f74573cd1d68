-- Sets pending entries aside: copies them to the dead letters, then acknowledges them for the group. The copy comes first: if the server
-- refuses it, nothing is acknowledged. The entry stays in the stream, since other groups may need it.
--
-- KEYS[1]  the stream
-- KEYS[2]  the dead letters; without it only entries that no longer exist are acknowledged, if that is asked for
-- ARGV     the group, deliveries and idle time in milliseconds that an entry must have, the length at which the dead letters are full,
--          the prefix of the fields, who did it, whether to acknowledge entries that no longer exist ("1" or ""), whether the key of the dead
--          letters is known as one, which may have groups while it is empty ("1" or ""), the IDs...
-- Returns  for each ID a word
local key, dead = KEYS[1], KEYS[2]
local group, deliveries, idle = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local max_length, names, by, drops_gone = tonumber(ARGV[4]), origin_names(ARGV[5]), ARGV[6], ARGV[7] == '1'
local is_known = ARGV[8] == '1'
-- What is asked for once in a script.
local length, time, is_live
-- The IDs to acknowledge, once all is copied: a server above `maxmemory` refuses only the first write of a script, which so is a copy. One
-- command for all takes the server less time.
local done, is_done = {}, {}

local function acknowledge_later(id)
  table.insert(done, id)
  is_done[id] = true
end

-- Milliseconds since 1970.
local function now()
  local parts = call('TIME')
  return parts[1] .. ('%03d'):format(math.floor(parts[2] / 1000))
end

-- Whether the key of the dead letters is a stream that somebody uses for something else: its consumers would get the dead letters, and what
-- trims it would remove them. Its newest entry tells, since what is added here is a dead letter.
local function is_live_stream()
  if length > 0 then return not is_dead_letter(call('XREVRANGE', dead, '+', '-', 'COUNT', 1)[1][2]) end
  return not is_known and has_groups(dead)
end

local function set_aside(id)
  local row = call('XPENDING', key, group, id, id, 1)[1]
  if not row or is_done[id] then return 'not_pending' end
  -- The idle time of an entry that its consumer gave back is negative: nobody works on it.
  if row[4] < deliveries or (row[3] >= 0 and row[3] < idle) then return 'changed' end
  local fields = fields_of(key, id)
  if not fields then
    if not drops_gone then return 'gone' end
    acknowledge_later(id)
    return 'acknowledged'
  end
  if not dead then return 'exists' end
  for index = 1, #fields, 2 do
    if fields[index] == names[1] then return 'dead_letter' end
  end
  if #fields > MOST_WORDS then return 'too_many_fields' end
  if not length then
    length = call('XLEN', dead)
    is_live = is_live_stream()
  end
  if is_live then return 'live_stream' end
  if length >= max_length then return 'full' end
  time = time or now()
  local own, origin = #fields, {key, group, id, row[2], ('%.0f'):format(row[4]), time, by}
  for index, name in ipairs(names) do
    fields[own + 2 * index - 1] = name
    fields[own + 2 * index] = origin[index]
  end
  call('XADD', dead, '*', unpack(fields))
  length = length + 1
  acknowledge_later(id)
  return 'moved'
end

local function act()
  local words = each(9, set_aside)
  if #done > 0 then call('XACK', key, group, unpack(done)) end
  return words
end
