-- Deletes consumers that hold nothing and did nothing for so long. Deleting one that holds entries would lose them.
--
-- A consumer that waits in a blocking read is created again by the next entry that it gets.
--
-- KEYS[1]  the stream
-- ARGV     the group, the idle time in milliseconds that a consumer must have, the names... An empty time means that it was compared
--          before: the server lists all consumers of a group or none, and to list thousands in a script takes it tens of milliseconds.
-- Returns  for each name a word
local key, group, idle = KEYS[1], ARGV[1], tonumber(ARGV[2])

local function act()
  local consumers = idle and consumers_of(key, group)
  return each(3, function(name)
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
end
