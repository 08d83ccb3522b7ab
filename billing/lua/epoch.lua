-- Returns the epoch, "run id:creation (ms)", after starting a new one if this server is not the one that had it, or if
-- one is wanted. KEYS: epoch. ARGV: 1 the server's run id, 2 begin a new one (1 or 0).
local epoch = redis.call('GET', KEYS[1])
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
if ARGV[2] == '1' or not epoch or string.match(epoch, '^[^:]*') ~= ARGV[1] then
  -- Later epochs have larger numbers, also after the clock was put back.
  local before = tonumber(epoch and string.match(epoch, ':(%d+)$') or '0')
  epoch = ARGV[1] .. ':' .. string.format('%.0f', math.max(now_ms, before + 1))
  redis.call('SET', KEYS[1], epoch)
end
return {epoch, string.format('%.0f', now_ms)}
