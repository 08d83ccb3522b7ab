-- After Valkey lost its memory: puts back what a spool still knows, before the wallet may be opened.
-- KEYS: wallet, holds, leases, spending. ARGV: 1 epoch, 2 lease (ms), then per hold: request, owners (the key,
-- and after a comma the member where it has a budget), nano-USD, running (1 or 0: ended, not yet in PostgreSQL).
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1])
end
local now = redis.call('TIME')
local until_ms = now[1] * 1000 + math.floor(now[2] / 1000) + tonumber(ARGV[2])
for i = 3, #ARGV, 4 do
  if redis.call('HSETNX', KEYS[2], ARGV[i], ARGV[i + 2] .. ':' .. ARGV[i + 1]) == 1 then
    redis.call('HINCRBY', KEYS[1], 'held', ARGV[i + 2])
    for owner in string.gmatch(ARGV[i + 1], '[^,]+') do redis.call('HINCRBY', KEYS[4], owner .. ':held', ARGV[i + 2]) end
    if ARGV[i + 3] == '1' then redis.call('ZADD', KEYS[3], until_ms, ARGV[i]) end
  end
end
return 1
