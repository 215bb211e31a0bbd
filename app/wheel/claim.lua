-- Take what is due: leases that expired, or cannot be, first, then due entries, moved to `leased` under one token.
-- Where what is late already does not fit, the newest get an eighth of the room: who is due now does not wait behind all
-- of a backlog.
-- Executions are taken up to `until`, never before their time; schedules up to `ahead`, and up to `reach` past a backlog.
-- Safe to repeat: what a lost answer took is found again once its lease has expired.
-- KEYS due leased token mark   ARGV now until limit lease_ms shards ahead reach
-- Returns {token, next due ms or -1, mark, members, passing}; mark is 0 when the shard was lost or loaded for another
-- number of shards, 1 while it is being loaded, 2 when it is complete; the last `passing` members pass a backlog by
local due, leased = KEYS[1], KEYS[2]
local now, til, limit, ahead, reach = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), ARGV[6], ARGV[7]
local sane = now + 65000
local members = redis.call('ZRANGE', leased, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
if #members < limit then
  -- No lease is longer than a minute: one that ends later was made before the clock was set back.
  local stranded = redis.call('ZRANGE', leased, '(' .. string.format('%d', sane), '+inf', 'BYSCORE',
                              'LIMIT', 0, limit - #members)
  for _, member in ipairs(stranded) do members[#members + 1] = member end
end
local passing = {}
local room = limit - #members
if room > 0 then
  local head = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')
  local eighth = math.floor(room / 8)
  if eighth > 0 and head[2] and tonumber(head[2]) < now and redis.call('ZCOUNT', due, '-inf', til) > room then
    -- A schedule's entry is a new occurrence. Most of the others were given back or failed, and can wait.
    for _, first in ipairs({true, false}) do
      if #passing == eighth then break end
      local newest = redis.call('ZRANGE', due, first and reach or til, '(' .. head[2], 'BYSCORE', 'REV', 'LIMIT', 0, room)
      for _, member in ipairs(newest) do
        if #passing < eighth and (string.sub(member, 1, 2) == 's:') == first then passing[#passing + 1] = member end
      end
    end
  end
  -- Out of the way first: one of them may be among the oldest, too.
  if #passing > 0 then redis.call('ZREM', due, unpack(passing)) end
  local oldest = redis.call('ZRANGE', due, '-inf', til, 'BYSCORE', 'LIMIT', 0, room - #passing)
  local left = room - #passing - #oldest
  if left > 0 and tonumber(ahead) > tonumber(til) then
    for _, member in ipairs(redis.call('ZRANGE', due, '(' .. til, ahead, 'BYSCORE', 'LIMIT', 0, left)) do
      if string.sub(member, 1, 2) == 's:' then oldest[#oldest + 1] = member end
    end
  end
  if #oldest > 0 then redis.call('ZREM', due, unpack(oldest)) end
  for _, member in ipairs(oldest) do members[#members + 1] = member end
  for _, member in ipairs(passing) do members[#members + 1] = member end
end
local token = -1
if #members > 0 then
  -- The token is the lease's end too, so an ack needs no more than the score to know whose lease it drops.
  -- A last token from before the clock was set back would make every lease as long as the step.
  local last = tonumber(redis.call('GET', KEYS[3]) or '0')
  if last > sane then last = 0 end
  token = math.max(now + tonumber(ARGV[4]), last + 1)
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
local epoch, til_loaded, shards = unpack(redis.call('HMGET', KEYS[4], 'epoch', 'loaded_until', 'shards'))
local mark = 0
if epoch and til_loaded and shards == ARGV[5] then mark = tonumber(til_loaded) > 0 and 2 or 1 end
return {string.format('%d', token), string.format('%d', nearest), mark, members, #passing}
