-- Deletes consumers that hold nothing and did nothing for so long. Deleting one that holds entries would lose them.
--
-- A consumer that waits in a blocking read is created again by the next entry that it gets.
--
-- KEYS[1]  the stream
-- ARGV     the group, the idle time in milliseconds that a consumer must have, the names... An empty time means that it was compared
--          before: the server lists all consumers of a group or none, and to list thousands in a script takes it tens of milliseconds.
-- Returns  for each name a word
local key, group, idle = KEYS[1], ARGV[1], tonumber(ARGV[2])

-- How many consumers the group has; nil without the group.
local function count_of(key, group)
  local its = by_name(call('XINFO', 'GROUPS', key))[group]
  return its and its.consumers
end

local function act()
  local consumers = idle and consumers_of(key, group)
  local before = not idle and count_of(key, group)
  local words = each(3, function(name)
    if consumers then
      if not consumers[name] then return 'gone' end
      if consumers[name].pending > 0 then return 'holds_pending' end
      if consumers[name].idle < idle then return 'active' end
    elseif call('XPENDING', key, group, '-', '+', 1, name)[1] then
      return 'holds_pending'
    end
    call('XGROUP', 'DELCONSUMER', key, group, name)
    return 'deleted'
  end)
  if before then
    -- DELCONSUMER does not say whether there was one. Which ones were gone is unknown, but not how many.
    local deleted = before - count_of(key, group)
    for index, word in ipairs(words) do
      if word == 'deleted' then
        if deleted == 0 then words[index] = 'gone' else deleted = deleted - 1 end
      end
    end
  end
  return words
end
