-- Makes the stream with its group, unless there is a key of that name. It is not made unless it can be made to expire.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('XGROUP', 'CREATE', KEYS[1], 'bench', '0', 'MKSTREAM')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
