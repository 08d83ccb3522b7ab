-- Stands before the scripts that end holds. Returns what was held, 0 when nothing was.
local function give_back(request)
  local entry = redis.call('HGET', KEYS[2], request)
  redis.call('ZREM', KEYS[3], request)
  if not entry then return 0 end
  local amount, owners = string.match(entry, '^(%d+):(.*)$')
  -- Not "-" before the digits: of "-0" Valkey makes no number.
  local less = string.format('%.0f', 0 - amount)
  redis.call('HDEL', KEYS[2], request)
  redis.call('HINCRBY', KEYS[1], 'held', less)
  for owner in string.gmatch(owners, '[^,]+') do redis.call('HINCRBY', KEYS[4], owner .. ':held', less) end
  return tonumber(amount)
end
