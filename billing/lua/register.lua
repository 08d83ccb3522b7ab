-- After Valkey lost its memory: puts back what a spool still knows, before the wallet may be opened.
-- KEYS: wallet, holds, leases, spending. ARGV: 1 epoch, 2 lease (ms), then per hold: request, owners (the key,
-- and after a comma the member where it has a budget), nano-USD, running (1 or 0: ended, not yet in PostgreSQL).
local known = redis.call('HGET', KEYS[1], 'epoch')
if known ~= ARGV[1] then
  if is_later(known, ARGV[1]) then return 0 end
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1])
end
local now = redis.call('TIME')
local until_ms = now[1] * 1000 + math.floor(now[2] / 1000) + tonumber(ARGV[2])
for i = 3, #ARGV, 4 do
  local entry = redis.call('HGET', KEYS[2], ARGV[i])
  -- Who tells more of a hold knows better: it has grown meanwhile.
  local more = tonumber(ARGV[i + 2]) - tonumber(entry and string.match(entry, '^%d+') or '0')
  if not entry or more > 0 then
    more = string.format('%.0f', more)
    redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2] .. ':' .. ARGV[i + 1])
    redis.call('HINCRBY', KEYS[1], 'held', more)
    for owner in string.gmatch(ARGV[i + 1], '[^,]+') do redis.call('HINCRBY', KEYS[4], owner .. ':held', more) end
  end
  if not entry and ARGV[i + 3] == '1' then redis.call('ZADD', KEYS[3], until_ms, ARGV[i]) end
end
return 1
