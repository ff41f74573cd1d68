-- For scripts that act on items one by one: IDs of entries, or names of consumers. They return a word for each.

-- Reading and copying entries takes the server time, and other clients wait. Past this many bytes the other items are left for the next
-- script.
local MOST_BYTES = 524288
-- What a word costs beside its bytes: as much time as so many bytes.
local WORD = 128
-- XADD gets fields from Lua's stack, which is small.
local MOST_WORDS = 7000
local bytes = 0

-- The fields of an entry; nil if it does not exist.
local function fields_of(key, id)
  local entry = call('XRANGE', key, id, id)[1]
  if not entry then return nil end
  local fields = entry[2]
  for index = 1, #fields do bytes = bytes + #fields[index] + WORD end
  return fields
end

-- The names of the fields that a dead letter has behind those of its entry, in this order.
local function origin_names(prefix)
  local names = {}
  for index, name in ipairs(ORIGIN) do names[index] = prefix .. name end
  return names
end

-- Whether a key is a stream with groups.
local function has_groups(key)
  local is_there, groups = pcall(call, 'XINFO', 'GROUPS', key)
  if is_there then return #groups > 0 end
  if text_of(groups):find('no such key') then return false end
  error(groups, 0)
end

-- What XINFO lists, by name, each as a table of its fields.
local function by_name(list)
  local all = {}
  for _, fields in ipairs(list) do
    local one = by_field(fields)
    all[one.name] = one
  end
  return all
end

-- The consumers of a group.
local function consumers_of(key, group)
  return by_name(call('XINFO', 'CONSUMERS', key, group))
end

-- The words of all items, which are the arguments from this index on. An error at the first item is the reply. At a later one the reply must
-- say what was done before: the other items are left, and the next script begins with the one that failed.
local function each(first, word_of)
  local words = {}
  local is_done, answer = pcall(function()
    for index = first, #ARGV do
      if bytes >= MOST_BYTES then return end
      table.insert(words, word_of(ARGV[index]))
    end
  end)
  if not is_done and #words == 0 then error(answer, 0) end
  for _ = first + #words, #ARGV do table.insert(words, 'left') end
  return words
end

