-- Grows the hold of a running stream by what is affordable, up to the tokens asked for, and renews its lease.
-- KEYS: wallet, holds, leases, spending. ARGV: 1 epoch, 2 request, 3 tokens, 4 output rate (pico-USD a token),
-- 5 lease (ms); then, only where there are budgets: 6 day, 7 week, 8 month, 9 all time, and per budget: subject,
-- window, nano-USD.
-- Returns {tokens granted, nano-USD added}; {-1, 0} when Valkey does not know the hold.
local wallet = redis.call('HMGET', KEYS[1], 'epoch', 'balance', 'held')
local entry = redis.call('HGET', KEYS[2], ARGV[2])
if wallet[1] ~= ARGV[1] or not wallet[2] or not entry then return {-1, '0'} end
local amount, owners = string.match(entry, '^(%d+):(.*)$')
local held = tonumber(wallet[3] or '0')
local left = tonumber(wallet[2]) - held
local periods = {day = ARGV[6], week = ARGV[7], month = ARGV[8], lifetime = ARGV[9]}
for i = 10, #ARGV, 3 do
  local subject, window = ARGV[i], ARGV[i + 1]
  local spent = redis.call('HMGET', KEYS[4], subject .. ':held', subject .. ':' .. window, subject .. ':' .. window .. ':period')
  local rest = tonumber(ARGV[i + 2]) - (string.match(subject, '^%a+') == 'org' and held or tonumber(spent[1] or '0'))
  if spent[3] == periods[window] then rest = rest - tonumber(spent[2]) end
  left = math.min(left, rest)
end
local tokens, rate = tonumber(ARGV[3]), tonumber(ARGV[4])
if rate > 0 then tokens = math.min(tokens, math.floor(math.max(left, 0) * 1000 / rate)) end
local added = string.format('%.0f', math.ceil(tokens * rate / 1000))
local now = redis.call('TIME')
redis.call('ZADD', KEYS[3], 'XX', now[1] * 1000 + math.floor(now[2] / 1000) + tonumber(ARGV[5]), ARGV[2])
if tokens > 0 then
  redis.call('HINCRBY', KEYS[1], 'held', added)
  for owner in string.gmatch(owners, '[^,]+') do redis.call('HINCRBY', KEYS[4], owner .. ':held', added) end
  redis.call('HSET', KEYS[2], ARGV[2], string.format('%.0f', tonumber(amount) + tonumber(added)) .. ':' .. owners)
end
return {tokens, added}
