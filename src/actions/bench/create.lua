-- Makes the stream with its group, unless there is a key of that name. It is not made unless it can be removed and made to expire, and
-- used for as long as the bench lasts.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
redis.call('UNLINK', KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('XGROUP', 'CREATE', KEYS[1], 'bench', '0', 'MKSTREAM')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
local rewound = redis.pcall('XGROUP', 'SETID', KEYS[1], 'bench', '0')
if rewound.err then
  redis.call('UNLINK', KEYS[1])
  return rewound
end
return 1
