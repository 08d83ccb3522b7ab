-- Brings PostgreSQL's truth to Valkey: the balance at a version, what was spent, holds that are now in the balance.
-- KEYS: wallet, holds, leases, spending, opening. ARGV: 1 epoch, 2 version, 3 balance (nano-USD), 4 the mark that
-- "opening" must still hold for the wallet to be opened, empty where it may not be,
-- 5 number of settled requests, requests..., 6 + that number day, week, month, all time, and
-- per subject (key, member or organization): subject, then what it has spent in these four periods (nano-USD).
-- An older version never replaces a newer one, so the order of callers does not matter. Returns 1 when applied.
if ARGV[4] ~= '' and redis.call('GET', KEYS[5]) ~= ARGV[4] then return 0 end
local wallet = redis.call('HMGET', KEYS[1], 'epoch', 'balance', 'version')
if wallet[1] ~= ARGV[1] then
  if ARGV[4] == '' or is_later(wallet[1], ARGV[1]) then return 0 end
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
  redis.call('HSET', KEYS[1], 'epoch', ARGV[1])
  wallet = {ARGV[1], false, false}
end
local version = tonumber(ARGV[2])
if (wallet[2] or ARGV[4] ~= '') and version >= tonumber(wallet[3] or '-1') then
  redis.call('HSET', KEYS[1], 'balance', ARGV[3], 'version', ARGV[2])
end
local settled = tonumber(ARGV[5])
for i = 6, 5 + settled do give_back(ARGV[i]) end
local windows = {'day', 'week', 'month', 'lifetime'}
for i = 10 + settled, #ARGV, 5 do
  local subject = ARGV[i]
  if version >= tonumber(redis.call('HGET', KEYS[4], subject .. ':v') or '-1') then
    local fields = {subject .. ':v', ARGV[2]}
    for n, window in ipairs(windows) do
      local name = subject .. ':' .. window
      for _, value in ipairs({name, ARGV[i + n], name .. ':period', ARGV[5 + settled + n]}) do fields[#fields + 1] = value end
    end
    redis.call('HSET', KEYS[4], unpack(fields))
  end
end
return 1
