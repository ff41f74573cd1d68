-- One atomic step of retention on one stream: finds what may be removed and removes at most `step` entries. No group
-- can be created, moved or read from in between, so the losses of each group can be counted exactly.
--
-- IDs stay strings: a Lua number is exact up to 2^53 only.
--
-- KEYS[1]  the stream
-- ARGV     mode ("safe" or "strict"), max_length, cutoff (an ID: older entries are too old), ceiling, step,
--          exact ("1" or ""), whether the limits are not meant for dead letters ("1" or ""), number of ignored groups,
--          the ignored groups..., the expected groups...
--          "" for a limit that is not set
-- Returns  entries removed, length after, floor, blocking group, why it blocks, whether the ceiling forced it,
--          entries ever removed from the stream (-1 where the server does not count or the losses are unknown),
--          and for each group that lost undelivered entries its name and how many
local key, mode = KEYS[1], ARGV[1]
local max_length, cutoff, ceiling, step = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local exact, spares_dead_letters, ignored_count = ARGV[6] == '1', ARGV[7] == '1', tonumber(ARGV[8])
-- XDEL gets its IDs from Lua's stack, which is small.
local DELETED_AT_ONCE = 1000
-- Counting losses takes the server some time for each group. Beyond this number, polls bound the losses.
local MOST_COUNTED = 1000

local function less(a, b)
  return #a < #b or (#a == #b and a < b)
end

local function before(a, b)
  local a_ms, a_seq = a:match('^(%d+)-(%d+)$')
  local b_ms, b_seq = b:match('^(%d+)-(%d+)$')
  if a_ms ~= b_ms then return less(a_ms, b_ms) end
  return less(a_seq, b_seq)
end

local function plus_one(digits)
  local head, digit, nines = digits:match('^(%d-)(%d)(9*)$')
  return head .. digit + 1 .. ('0'):rep(#nines)
end

local MAX = '18446744073709551615'
local function after(id)
  local ms, seq = id:match('^(%d+)-(%d+)$')
  if seq ~= MAX then return ms .. '-' .. plus_one(seq) end
  if ms ~= MAX then return plus_one(ms) .. '-0' end
  return id
end

local function ids(from, to, count)
  local found = call('XRANGE', key, from, to, 'COUNT', count)
  for index, entry in ipairs(found) do found[index] = entry[1] end
  return found
end

-- The oldest pending entry that still exists. Deleted entries stay pending forever and block nothing.
local function oldest_pending(group, first)
  for _, count in ipairs({1, 100}) do
    local rows = call('XPENDING', key, group, first, '+', count)
    for _, row in ipairs(rows) do
      if #ids(row[1], row[1], 1) > 0 then return row[1] end
    end
    if #rows < count then return nil end
    if count > 1 then return rows[count][1] end
  end
end

-- The groups, each as a table of its fields. The step moves none of them.
local known_groups
local function groups()
  if known_groups then return known_groups end
  local found = {}
  for _, fields in ipairs(call('XINFO', 'GROUPS', key)) do table.insert(found, by_field(fields)) end
  known_groups = found
  return found
end

-- The stream as it is before the first removal, as a table of its fields.
local known_stream
local function stream()
  known_stream = known_stream or by_field(call('XINFO', 'STREAM', key))
  return known_stream
end

-- Ends the step if the stream holds dead letters, as far as its ends show, and the limits are not meant for them.
local function spare_dead_letters()
  if not spares_dead_letters then return end
  for _, which in ipairs({'first-entry', 'last-entry'}) do
    if is_dead_letter(stream()[which][2]) then error('DEADLETTER at an end of the stream', 0) end
  end
end

-- The first entry that a group still needs, with the group and the reason.
local function find_floor(first)
  local floor, holder, reason
  local function hold(id, group, why)
    if not floor or before(id, floor) then floor, holder, reason = id, group, why end
  end
  local ignored, missing = {}, {}
  for index = 9, #ARGV do
    if index < 9 + ignored_count then ignored[ARGV[index]] = true else missing[ARGV[index]] = true end
  end
  for _, group in ipairs(groups()) do
    missing[group.name] = nil
    if not ignored[group.name] then
      hold(after(group['last-delivered-id']), group.name, 'unread')
      local pending = group.pending > 0 and oldest_pending(group.name, first)
      if pending then hold(pending, group.name, 'pending') end
    end
  end
  for group in pairs(missing) do
    if not ignored[group] then hold(first, group, 'missing_group') end
  end
  return floor, holder, reason
end

-- Finds the number of entries ever removed before this step. Fails where losses are not counted: before Redis 7.0,
-- which does not count additions, and with too many groups.
local ever_before
local function find_ever_before()
  if stream().groups > MOST_COUNTED then error() end
  ever_before = stream()['entries-added'] - stream().length
end

-- The distinct positions of groups, ascending.
local function positions()
  local found, seen = {}, {}
  for _, group in ipairs(groups()) do
    local position = group['last-delivered-id']
    if not seen[position] then table.insert(found, position) end
    seen[position] = true
  end
  table.sort(found, before)
  return found
end

-- By position of a group: how many of the removed entries were delivered to it; all of them for a missing position.
-- nil: not counted.
local delivered

-- Removes whole nodes below `target`, as one XTRIM would, but in parts, to count what each group loses. Each part ends
-- at the position of the next group. Nodes before that position hold only entries that were delivered to it. Of the
-- node at the position, the entries are read and counted before the node is removed. So at most one node per group is
-- read.
--
-- An error after the first removal ends the step. The entries removed until then are returned and counted.
local function trim(target, most, length)
  local removed = 0
  local is_counted = pcall(function()
    find_ever_before()
    local stops, rest, from = positions(), 0, '-'
    delivered = {}
    for _, position in ipairs(stops) do
      -- All entries that may be removed were delivered at an earlier position, and so at this one and all later ones.
      if removed + rest >= most then break end
      if target and not before(after(position), target) then break end
      -- LIMIT 0 would mean no limit; at least 1 is left.
      local gone = call('XTRIM', key, 'MINID', '~', after(position), 'LIMIT', most - removed)
      removed = removed + gone
      if gone > 0 then rest, from = 0, '-' end
      -- One more than is left to remove, which may be 0: COUNT 0 would not mean no entries.
      rest = rest + #ids(from, position, most - removed + 1)
      delivered[position], from = removed + rest, '(' .. position
    end
  end)
  if not is_counted and removed == 0 then delivered = nil end
  if removed == most or (removed > 0 and not is_counted) then return removed end
  local is_removed, gone = pcall(function()
    if target then return call('XTRIM', key, 'MINID', '~', target, 'LIMIT', most - removed) end
    return call('XTRIM', key, 'MAXLEN', '~', length - most)
  end)
  if is_removed then return removed + gone end
  if removed == 0 then error(gone, 0) end
  return removed
end

-- The entries ever removed from the stream, and for each group that lost undelivered ones its name and how many.
local function losses(removed)
  if removed == 0 or not delivered then return -1, {} end
  local lost = {}
  for _, group in ipairs(groups()) do
    local entries = removed - (delivered[group['last-delivered-id']] or removed)
    if entries > 0 then
      table.insert(lost, group.name)
      table.insert(lost, entries)
    end
  end
  return ever_before + removed, lost
end

-- Removes at most `most` entries below `target`, of a stream that begins with `first`; nil for no target. Returns how many, or why none.
local function remove(first, target, most, length)
  if not target or before(first, target) then spare_dead_letters() end
  local removed = trim(target, most, length)
  if removed > 0 then return removed end
  -- No whole node can be removed any more. What is left is in the first node, so this reads at most one node.
  local rest = ids('-', target and '(' .. target or '+', exact and math.min(most, DELETED_AT_ONCE) or most)
  -- The counts of delivered entries hold for these too, since nothing was removed yet.
  if exact and #rest > 0 then return call('XDEL', key, unpack(rest)) end
  if #rest >= step then return 0, 'node_size' end
  return 0, #rest < most and 'held' or nil
end

local function act()
  local length = call('XLEN', key)
  -- Within the limit there is nothing to do.
  if cutoff == '' and max_length and length <= max_length then return {0, length, '', '', '', 0, -1, {}} end
  local first = ids('-', '+', 1)[1]
  if not first then return {0, length, '', '', '', 0, -1, {}} end
  local floor, holder, reason
  if mode == 'safe' then floor, holder, reason = find_floor(first) end

  local removed, why, is_held, forced = 0, nil, false, 0
  local excess = max_length and length - max_length or 0
  if excess > 0 then
    removed, why = remove(first, floor, math.min(excess, step), length)
    is_held = why == 'held'
  end
  if removed == 0 and cutoff ~= '' then
    -- Milliseconds since 1970 have 13 digits until 2286. Seconds have fewer, microseconds and nanoseconds more.
    if #first:match('^%d+') ~= 13 then
      why = 'not_times'
    else
      local is_lower = floor and before(floor, cutoff)
      local too_old
      removed, too_old = remove(first, is_lower and floor or cutoff, step, length)
      if too_old == 'node_size' then why = too_old end
      is_held = is_held or (removed == 0 and is_lower and #ids(floor, '(' .. cutoff, 1) > 0)
    end
  end
  if removed == 0 and ceiling and length > ceiling then
    removed = remove(first, nil, math.min(length - ceiling, step), length)
    if removed > 0 then forced = 1 end
  end
  if is_held then why = reason else holder = nil end
  if removed > 0 then why, holder = nil, nil end
  local ever, lost = losses(removed)
  return {removed, call('XLEN', key), floor or '', holder or '', why or '', forced, ever, lost}
end
