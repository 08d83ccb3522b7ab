-- Grows the hold of a running stream by what is affordable, up to the tokens asked for, and renews its lease.
-- KEYS: wallet, holds, leases, keys. ARGV: 1 epoch, 2 request, 3 key, 4 tokens, 5 output rate (pico-USD a token),
-- 6 total budget, 7 month budget, 8 month, 9 lease (ms).
-- Returns {tokens granted, nano-USD added}; {-1, 0} when Valkey does not know the hold.
local wallet = redis.call('HMGET', KEYS[1], 'epoch', 'balance', 'held')
local entry = redis.call('HGET', KEYS[2], ARGV[2])
if wallet[1] ~= ARGV[1] or not wallet[2] or not entry then return {-1, '0'} end
local amount, owner = string.match(entry, '^(%d+):(.*)$')
local key = ARGV[3]
local spent = redis.call('HMGET', KEYS[4], key .. ':held', key .. ':total', key .. ':month', key .. ':m')
local left = tonumber(wallet[2]) - tonumber(wallet[3] or '0')
local function narrow(budget, used)
  if budget >= 0 then left = math.min(left, budget - used - tonumber(spent[1] or '0')) end
end
narrow(tonumber(ARGV[6]), tonumber(spent[2] or '0'))
narrow(tonumber(ARGV[7]), spent[4] == ARGV[8] and tonumber(spent[3] or '0') or 0)
local tokens, rate = tonumber(ARGV[4]), tonumber(ARGV[5])
if rate > 0 then tokens = math.min(tokens, math.floor(math.max(left, 0) * 1000 / rate)) end
local added = string.format('%.0f', math.ceil(tokens * rate / 1000))
local now = redis.call('TIME')
redis.call('ZADD', KEYS[3], 'XX', now[1] * 1000 + math.floor(now[2] / 1000) + tonumber(ARGV[9]), ARGV[2])
if tokens > 0 then
  redis.call('HINCRBY', KEYS[1], 'held', added)
  redis.call('HINCRBY', KEYS[4], owner .. ':held', added)
  redis.call('HSET', KEYS[2], ARGV[2], string.format('%.0f', tonumber(amount) + tonumber(added)) .. ':' .. owner)
end
return {tokens, added}
