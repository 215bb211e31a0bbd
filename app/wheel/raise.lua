-- Note how far a shard is loaded, unless its mark was lost meanwhile.
-- KEYS mark   ARGV epoch loaded_until_ms
-- Returns 1, or 0 when the epoch is gone
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'loaded_until', ARGV[2])
return 1
