-- Take what is due: expired leases first, then due entries, moved to `leased` under one token.
-- Safe to repeat: what a lost answer took is found again once its lease has expired.
-- KEYS due leased token mark   ARGV now until limit lease_ms
-- Returns {token, next due ms or -1, whether the mark stands, members}
local due, leased = KEYS[1], KEYS[2]
local now, til, limit = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local members = redis.call('ZRANGE', leased, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
if #members < limit then
  local fresh = redis.call('ZRANGE', due, '-inf', til, 'BYSCORE', 'LIMIT', 0, limit - #members)
  if #fresh > 0 then
    redis.call('ZREM', due, unpack(fresh))
    for _, member in ipairs(fresh) do members[#members + 1] = member end
  end
end
local token = -1
if #members > 0 then
  -- The token is the lease's end too, so an ack needs no more than the score to know whose lease it drops.
  token = math.max(now + tonumber(ARGV[4]), tonumber(redis.call('GET', KEYS[3]) or '0') + 1)
  redis.call('SET', KEYS[3], string.format('%d', token))
  local pairs_ = {}
  for _, member in ipairs(members) do
    pairs_[#pairs_ + 1] = token
    pairs_[#pairs_ + 1] = member
  end
  redis.call('ZADD', leased, unpack(pairs_))
end
local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
local lease = redis.call('ZRANGE', leased, 0, 0, 'WITHSCORES')
local nearest = tonumber(first[2] or '-1')
local expiry = tonumber(lease[2] or '-1')
if expiry >= 0 and (nearest < 0 or expiry < nearest) then nearest = expiry end
return {string.format('%d', token), string.format('%d', nearest), redis.call('EXISTS', KEYS[4]), members}
