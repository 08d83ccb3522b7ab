-- Decides one request: limits, budgets and the hold, together or not at all.
-- KEYS: wallet, holds, leases, spending (all of one organization).
-- ARGV: 1 epoch, 2 request, 3 key, 4 org rpm, 5 org tpm, 6 key rpm, 7 key tpm, 8 concurrency,
--       9 input tokens, 10 input cost (pico-USD), 11 output rate (pico-USD a token, all choices),
--       12 output tokens wanted, 13 least output tokens, 14 mode (explicit, stream, whole, own), 15 lease (ms);
--       then, only where there are budgets: 16 day, 17 week, 18 month, 19 all time, and per budget: subject (the key,
--       a member or the organization), window, nano-USD.
-- Returns {1} when Valkey does not know the wallet or what a subject has spent, else {status, four numbers by status,
-- limit, remaining and reset (ms) of requests, the same of tokens, budget}. Status: 0 admitted (hold, output tokens,
-- left), 2 requests, 3 tokens, 4 concurrency (retry after ms, limit), 5 money (left, needed, affordable output, output
-- asked for), with the number of the budget that does not reach; 0 is the wallet.
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local wallet = redis.call('HMGET', KEYS[1], 'epoch', 'balance', 'held', 'rpm', 'tpm')
if wallet[1] ~= ARGV[1] or not wallet[2] then return {1} end
local key = ARGV[3]

-- Holds whose gateway died come back when their lease ends.
local dead = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now_ms, 'LIMIT', 0, 50)
local held = tonumber(wallet[3] or '0')
for _, request in ipairs(dead) do held = held - give_back(request) end
-- Asked a second time, because the first answer did not arrive.
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then held = held - give_back(ARGV[2]) end

-- Rates as "theoretical arrival time": one number a bucket, a minute's worth of burst.
local function bucket(arrival, limit, cost)
  local start = math.max(tonumber(arrival or '0'), now_ms)
  local step = 60000 / limit
  local next_arrival = start + step * cost
  local excess = next_arrival - (now_ms + 60000)
  return {arrival = next_arrival, excess = excess, remaining = math.max(0, math.floor((now_ms + 60000 - next_arrival) / step + 0.000001)), reset = math.max(0, next_arrival - now_ms), before = math.max(0, math.floor((now_ms + 60000 - start) / step + 0.000001)), wait = start - now_ms}
end
local tokens = tonumber(ARGV[9])
-- An organization's limit of 0 shuts it; a key's limit of 0 means that it has none of its own.
local rpm = bucket(wallet[4], math.max(tonumber(ARGV[4]), 0.0001), 1)
local tpm = bucket(wallet[5], math.max(tonumber(ARGV[5]), 0.0001), tokens)
local key_rpm, key_tpm
if ARGV[6] ~= '0' then key_rpm = bucket(redis.call('HGET', KEYS[4], key .. ':rpm'), tonumber(ARGV[6]), 1) end
if ARGV[7] ~= '0' then key_tpm = bucket(redis.call('HGET', KEYS[4], key .. ':tpm'), tonumber(ARGV[7]), tokens) end

local function whole(number) return string.format('%.0f', number) end
local function answer(status, a, b, c, d, e)
  local requests, minute = rpm, tpm
  if key_rpm and key_rpm.remaining < requests.remaining then requests = key_rpm end
  if key_tpm and key_tpm.remaining < minute.remaining then minute = key_tpm end
  local request_limit = requests == rpm and ARGV[4] or ARGV[6]
  local token_limit = minute == tpm and ARGV[5] or ARGV[7]
  if status == 0 then
    return {status, whole(a), whole(b), whole(c), whole(d), request_limit, requests.remaining, math.ceil(requests.reset), token_limit, minute.remaining, math.ceil(minute.reset)}
  end
  return {status, whole(a), whole(b), whole(c), whole(d), request_limit, requests.before, math.ceil(requests.wait), token_limit, minute.before, math.ceil(minute.wait), e}
end

-- A bucket deeper than this is never full enough: two microseconds of float dust are not a refusal.
local dust = 0.002
if rpm.excess > dust then return answer(2, math.ceil(rpm.excess), tonumber(ARGV[4]), 0, 0) end
if key_rpm and key_rpm.excess > dust then return answer(2, math.ceil(key_rpm.excess), tonumber(ARGV[6]), 0, 0) end
if tpm.excess > dust then return answer(3, math.ceil(tpm.excess), tonumber(ARGV[5]), 0, 0) end
if key_tpm and key_tpm.excess > dust then return answer(3, math.ceil(key_tpm.excess), tonumber(ARGV[7]), 0, 0) end
if redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[8]) then return answer(4, 1000, tonumber(ARGV[8]), 0, 0) end

-- Money: what is left to hold is the least of the wallet and the budgets. What costs no credit needs none in the wallet,
-- but a budget that is used up stops it, too.
local left, budget, owners = tonumber(wallet[2]) - held, 0, key
if ARGV[14] == 'own' then left = 9007199254740991 end
local periods = {day = ARGV[16], week = ARGV[17], month = ARGV[18], lifetime = ARGV[19]}
for i = 20, #ARGV, 3 do
  local subject, window = ARGV[i], ARGV[i + 1]
  local spent = redis.call('HMGET', KEYS[4], subject .. ':held', subject .. ':' .. window, subject .. ':' .. window .. ':period')
  if not spent[3] then return {1} end
  local subject_held, kind = tonumber(spent[1] or '0'), string.match(subject, '^%a+')
  if kind == 'org' then subject_held = held end
  if kind == 'user' then owners = key .. ',' .. subject end
  -- What is known of an earlier period is not spent in this one.
  local rest = tonumber(ARGV[i + 2]) - subject_held
  if spent[3] == periods[window] then rest = rest - tonumber(spent[2]) end
  if rest < left then left, budget = rest, (i - 17) / 3 end
end

local input, rate = tonumber(ARGV[10]), tonumber(ARGV[11])
local wanted, least = tonumber(ARGV[12]), tonumber(ARGV[13])
local function cost(output) return math.ceil((input + output * rate) / 1000) end
local output = wanted
if rate > 0 and ARGV[14] ~= 'explicit' then
  local affordable = math.floor((left * 1000 - input) / rate)
  local share = affordable
  if ARGV[14] == 'whole' then share = math.max(least, math.floor(left * 500 / rate)) end
  output = math.min(wanted, affordable, share)
  if output < math.min(least, wanted) then output = math.min(least, wanted) end
end
local hold = cost(output)
if left < hold or left <= 0 then
  local can = 0
  if rate > 0 then can = math.max(0, math.floor((left * 1000 - input) / rate)) end
  if budget > 0 then
    -- For who writes mails: a budget that refuses may never be spent to its last nano.
    local subject, window, nano = ARGV[17 + 3 * budget], ARGV[18 + 3 * budget], ARGV[19 + 3 * budget]
    redis.call('HSET', KEYS[4], subject .. ':' .. window .. ':refused', periods[window] .. ':' .. nano)
  end
  return answer(5, left, hold, can, output, budget)
end

redis.call('HINCRBY', KEYS[1], 'held', whole(hold))
redis.call('HSET', KEYS[1], 'rpm', rpm.arrival, 'tpm', tpm.arrival)
for owner in string.gmatch(owners, '[^,]+') do redis.call('HINCRBY', KEYS[4], owner .. ':held', whole(hold)) end
if key_rpm then redis.call('HSET', KEYS[4], key .. ':rpm', key_rpm.arrival) end
if key_tpm then redis.call('HSET', KEYS[4], key .. ':tpm', key_tpm.arrival) end
redis.call('HSET', KEYS[2], ARGV[2], whole(hold) .. ':' .. owners)
redis.call('ZADD', KEYS[3], now_ms + tonumber(ARGV[15]), ARGV[2])
return answer(0, hold, output, left - hold, 0)
