-- Holds money that is about to leave a wallet by another way than usage, so that no request is admitted on it.
-- KEYS: wallet, holds, leases, spending. ARGV: 1 epoch, 2 name, 3 amount (nano-USD), 4 lease (ms).
-- Returns 0 when less is left, else 1; also when the wallet is unknown here, for nobody is admitted on it then.
local wallet = redis.call('HMGET', KEYS[1], 'epoch', 'balance', 'held')
if wallet[1] ~= ARGV[1] or not wallet[2] then return 1 end
if tonumber(wallet[2]) - tonumber(wallet[3] or '0') < tonumber(ARGV[3]) then return 0 end
local now = redis.call('TIME')
redis.call('HINCRBY', KEYS[1], 'held', ARGV[3])
redis.call('HINCRBY', KEYS[4], 'aside:held', ARGV[3])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3] .. ':aside')
redis.call('ZADD', KEYS[3], now[1] * 1000 + math.floor(now[2] / 1000) + tonumber(ARGV[4]), ARGV[2])
return 1
