-- Deletes consumers that hold nothing and did nothing for so long. Deleting one that holds entries would lose them.
--
-- A consumer that waits in a blocking read is created again by the next entry that it gets.
--
-- KEYS[1]  the stream
-- ARGV     the group, the idle time in milliseconds that a consumer must have, the names...
-- Returns  for each name a word
local key, group, idle = KEYS[1], ARGV[1], tonumber(ARGV[2])

local function act()
  local consumers = consumers_of(key, group)
  return each(3, function(name)
    local consumer = consumers[name]
    if not consumer then return 'gone' end
    if consumer.pending > 0 then return 'holds_pending' end
    if consumer.idle < idle then return 'active' end
    call('XGROUP', 'DELCONSUMER', key, group, name)
    return 'deleted'
  end)
end
