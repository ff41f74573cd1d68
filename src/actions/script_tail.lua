
-- The end of every script.
local ok, answer = pcall(act)
if ok then return answer end
-- An error that is not the server's has no code.
local text = text_of(answer)
return redis.error_reply(text:match('^%u+ ') and text or 'ERR ' .. text)
