-- Stands before the scripts that may begin a wallet anew: what is late and belongs to an epoch before the wallet's own
-- must not wipe it out.
local function is_later(known, epoch)
  local number, other = string.match(known or '', ':(%d+)$'), string.match(epoch, ':(%d+)$')
  return number and other and tonumber(number) > tonumber(other)
end
