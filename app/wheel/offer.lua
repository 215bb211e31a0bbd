-- Put back what Postgres says is due, for the keepers: passes over only what is leased, moves nothing later.
-- KEYS due leased mark   ARGV epoch, then member, due ms, …
-- Returns how many were missing, or stood later than offered; -1 when the epoch is gone
if redis.call('HGET', KEYS[3], 'epoch') ~= ARGV[1] then return -1 end
local mended = 0
for i = 2, #ARGV, 2 do
  local member, at = ARGV[i], tonumber(ARGV[i + 1])
  if not redis.call('ZSCORE', KEYS[2], member) then
    local stands = redis.call('ZSCORE', KEYS[1], member)
    if not stands or tonumber(stands) > at then
      redis.call('ZADD', KEYS[1], at, member)
      mended = mended + 1
    end
  end
end
return mended
