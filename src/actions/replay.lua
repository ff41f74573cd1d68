-- Takes dead letters out: adds each to a stream again, if one is given, then removes it. The addition comes first: if the server refuses
-- it, nothing is removed. What is not a dead letter stays.
--
-- KEYS[1]  the dead letters
-- KEYS[2]  the stream that gets them; without it they are only removed
-- ARGV     the prefix of the fields, the stream that they must be from ("" for any), the most replays of one, the IDs...
-- Returns  for each ID a word
local dead, stream = KEYS[1], KEYS[2]
local origin, most_replays = ARGV[2], tonumber(ARGV[3])
local names, replays_name = origin_names(ARGV[1]), ARGV[1] .. 'replays'

-- The fields of the entry, the stream that it is from, and how often it was replayed; nil for what is not a dead letter.
local function unwrap(fields)
  local last = #fields - 2 * #names
  for index, name in ipairs(names) do
    if fields[last + 2 * index - 1] ~= name then return nil end
  end
  local its_origin, replays = fields[last + 2], 0
  if fields[last - 1] == replays_name then
    replays = tonumber(fields[last]) or most_replays
    last = last - 2
  end
  local own = {}
  for index = 1, last do own[index] = fields[index] end
  return own, its_origin, replays
end

local function take(id)
  local found = fields_of(dead, id)
  if not found then return 'gone' end
  local fields, its_origin, replays = unwrap(found)
  if not fields then return 'not_a_dead_letter' end
  if not stream then
    call('XDEL', dead, id)
    return 'purged'
  end
  if origin ~= '' and its_origin ~= origin then return 'other_origin' end
  if replays >= most_replays then return 'looped' end
  if #fields > MOST_WORDS then return 'too_many_fields' end
  table.insert(fields, replays_name)
  table.insert(fields, ('%.0f'):format(replays + 1))
  call('XADD', stream, '*', unpack(fields))
  call('XDEL', dead, id)
  return 'replayed'
end

local function act()
  -- XADD would create the stream, without the groups that it had.
  if stream then call('XINFO', 'GROUPS', stream) end
  return each(4, take)
end
