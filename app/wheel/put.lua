-- Drop leases, and put due times: `ack` and `put` are this one script (a put has the token -1 and drops nothing).
-- An entry is never moved later: too early only costs a look.
-- KEYS due leased   ARGV token horizon_ms wake_until_ms channel shard, then member, due ms ('' for none), …
-- Returns how many leases were dropped
local due, leased, token, horizon = KEYS[1], KEYS[2], tonumber(ARGV[1]), tonumber(ARGV[2])
local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
local nearest = tonumber(first[2] or 'inf')
local earliest, dropped = nearest, 0
for i = 6, #ARGV, 2 do
  local member, at = ARGV[i], tonumber(ARGV[i + 1])
  if token >= 0 then
    local held = redis.call('ZSCORE', leased, member)
    if held and tonumber(held) == token then
      redis.call('ZREM', leased, member)
      dropped = dropped + 1
    end
  end
  if at and at <= horizon then
    redis.call('ZADD', due, 'LT', ARGV[i + 1], member)
    if at < earliest then earliest = at end
  end
end
-- Whoever sleeps looks by itself within a second: only what is due before that is worth waking anyone for.
if earliest < nearest and earliest <= tonumber(ARGV[3]) then
  redis.call('PUBLISH', ARGV[4], ARGV[5])
end
return dropped
