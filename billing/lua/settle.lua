-- Ends a running request: its hold shrinks (or grows) to the actual cost, which stays held until it is in PostgreSQL;
-- the token buckets learn the actual number. Without a cost the hold is gone at once.
-- KEYS: wallet, holds, leases, spending. ARGV: 1 epoch, 2 request, 3 key, 4 cost (nano-USD), 5 tokens beyond the estimate
-- (may be negative), 6 org tpm, 7 key tpm (0 none).
local wallet = redis.call('HMGET', KEYS[1], 'epoch', 'tpm')
if wallet[1] ~= ARGV[1] then return 0 end
local tokens = tonumber(ARGV[5])
local function correct(name, field, limit)
  if tokens == 0 or limit <= 0 then return end
  local arrival = tonumber(redis.call('HGET', name, field) or '0')
  redis.call('HSET', name, field, arrival + tokens * 60000 / limit)
end
correct(KEYS[1], 'tpm', tonumber(ARGV[6]))
correct(KEYS[4], ARGV[3] .. ':tpm', tonumber(ARGV[7]))
redis.call('ZREM', KEYS[3], ARGV[2])
local entry = redis.call('HGET', KEYS[2], ARGV[2])
if not entry then return 0 end
local amount, owners = string.match(entry, '^(%d+):(.*)$')
local change = string.format('%.0f', tonumber(ARGV[4]) - tonumber(amount))
redis.call('HINCRBY', KEYS[1], 'held', change)
for owner in string.gmatch(owners, '[^,]+') do redis.call('HINCRBY', KEYS[4], owner .. ':held', change) end
if ARGV[4] == '0' then redis.call('HDEL', KEYS[2], ARGV[2]) else redis.call('HSET', KEYS[2], ARGV[2], ARGV[4] .. ':' .. owners) end
return 1
