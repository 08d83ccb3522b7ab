-- Gives back what is held by requests whose lease is over: their gateway has died, and no other call has come since.
-- KEYS: wallet, holds, leases, keys. Returns how many there were, a thousand at most.
local now = redis.call('TIME')
local dead = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now[1] * 1000 + math.floor(now[2] / 1000), 'LIMIT', 0, 1000)
for _, request in ipairs(dead) do
  local entry = redis.call('HGET', KEYS[2], request)
  redis.call('ZREM', KEYS[3], request)
  if entry then
    local amount, owners = string.match(entry, '^(%d+):(.*)$')
    redis.call('HDEL', KEYS[2], request)
    redis.call('HINCRBY', KEYS[1], 'held', string.format('%.0f', 0 - amount))
    for owner in string.gmatch(owners, '[^,]+') do redis.call('HINCRBY', KEYS[4], owner .. ':held', string.format('%.0f', 0 - amount)) end
  end
end
return #dead
