-- Gives back what is held by requests whose lease is over: their gateway has died, and no other call has come since.
-- KEYS: wallet, holds, leases, keys. Returns how many there were, a thousand at most.
local now = redis.call('TIME')
local dead = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now[1] * 1000 + math.floor(now[2] / 1000), 'LIMIT', 0, 1000)
for _, request in ipairs(dead) do give_back(request) end
return #dead
