local MOST_VALUES = 50000
local values = 0

local function is_exact(value)
  values = values + 1
  if type(value) == 'number' then return value > -2 ^ 53 and value < 2 ^ 53 end
  if type(value) ~= 'table' then return true end
  local id, fields = value[1], value[2]
  if #value == 2 and type(id) == 'string' and type(fields) == 'table' then
    local bytes = 0
    for _, text in ipairs(fields) do bytes = bytes + #text end
    value[2] = bytes
    values = values + #fields
  end
  for _, item in ipairs(value) do
    if not is_exact(item) then return false end
  end
  return true
end

local answers, at = {}, 1
while ARGV[at] and values < MOST_VALUES do
  local last = at + ARGV[at]
  local reply = redis.pcall(unpack(ARGV, at + 1, last))
  if type(reply) == 'table' and reply.err then
    answers[#answers + 1] = {1, reply.err}
  else
    answers[#answers + 1] = is_exact(reply) and {0, reply} or {2}
  end
  at = last + 1
end
return answers
