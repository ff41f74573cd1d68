-- Hands pending entries over from one consumer to another, as a claim by the other one would. The number of deliveries stays. Each delivery
-- makes its consumer active, so a consumer that was idle for so long has no entry that was delivered since.
--
-- KEYS[1]  the stream
-- ARGV     the group, who holds the entries, who gets them, the idle time in milliseconds that the holder must have, the IDs...
-- Returns  for each ID a word
local key, group, from, to, idle = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local function act()
  local consumers = consumers_of(key, group)
  return each(5, function(id)
    -- A claim would create the consumer.
    if not consumers[to] then return 'no_consumer' end
    if not consumers[from] then return 'not_pending' end
    if consumers[from].idle < idle then return 'active' end
    local row = call('XPENDING', key, group, id, id, 1)[1]
    if not row then return 'not_pending' end
    if row[2] ~= from then return 'other_consumer' end
    -- From Redis 7.0 on a claim drops an entry that no longer exists from the pending entries.
    if not fields_of(key, id) then return 'gone' end
    call('XCLAIM', key, group, to, '0', id, 'JUSTID')
    return 'claimed'
  end)
end
