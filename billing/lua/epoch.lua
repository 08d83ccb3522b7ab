-- Returns the epoch, "run id:creation (ms)", after starting a new one if this server is not the one that had it.
-- KEYS: epoch. ARGV: 1 the server's run id.
local epoch = redis.call('GET', KEYS[1])
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
if not epoch or string.match(epoch, '^[^:]*') ~= ARGV[1] then
  epoch = ARGV[1] .. ':' .. string.format('%.0f', now_ms)
  redis.call('SET', KEYS[1], epoch)
end
return {epoch, string.format('%.0f', now_ms)}
