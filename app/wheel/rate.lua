-- Take from the token bucket of one target host, by Redis's own clock.
-- What is stored is one number: the instant, in microseconds, at which the bucket is full again. A key that is gone is a
-- full bucket, so it expires at that instant.
-- KEYS rate   ARGV per_second burst wanted
-- Returns {granted, ms until the next one is there}
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local each, wanted = 1000000 / tonumber(ARGV[1]), tonumber(ARGV[3])
local whole = tonumber(ARGV[2]) * each
local full_at = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
-- Further ahead than an empty bucket is: the clock was set back, or the rate raised.
full_at = math.min(full_at, now + whole)
-- Rounded by less than a microsecond's worth, or the last token would be late by a turn.
local granted = math.min(wanted, math.floor((now + whole - full_at) / each + 0.000001))
if granted > 0 then
  full_at = full_at + granted * each
  redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000) + 1)
end
return {granted, math.max(0, math.ceil((full_at + each - whole - now) / 1000))}
