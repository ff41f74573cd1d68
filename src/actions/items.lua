-- For scripts that act on items one by one: IDs of entries, or names of consumers. They return a word for each.

-- Copying takes the server time. Past this many bytes the other items are left for the next script.
local MOST_BYTES = 1048576
-- XADD gets fields from Lua's stack, which is small.
local MOST_WORDS = 7000
local bytes = 0

local function add(stream, fields)
  for _, word in ipairs(fields) do bytes = bytes + #word end
  call('XADD', stream, '*', unpack(fields))
end

-- The consumers of a group by name, each as a table of its fields.
local function consumers_of(key, group)
  local consumers = {}
  for _, fields in ipairs(call('XINFO', 'CONSUMERS', key, group)) do
    local consumer = {}
    for index = 1, #fields, 2 do consumer[fields[index]] = fields[index + 1] end
    consumers[consumer.name] = consumer
  end
  return consumers
end

-- The words of all items, which are the arguments from this index on. An error at the first item is the reply. At a later one the reply must
-- say what was done before: the other items are left, and the next script begins with the one that failed.
local function each(first, word_of)
  local words, is_over = {}, false
  for index = first, #ARGV do
    local word = 'left'
    if not is_over and bytes < MOST_BYTES then
      local is_done, answer = pcall(word_of, ARGV[index])
      if not is_done and index == first then error(answer, 0) end
      if is_done then word = answer else is_over = true end
    end
    table.insert(words, word)
  end
  return words
end

