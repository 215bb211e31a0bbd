"""How the workers know of each other whether they live; all in seconds of monotonic time.

A worker distrusts itself before the others declare it dead: what it sends after that might be sent by another, too.
"""

BEAT_SECONDS = 3.0
"""How often a worker says that it lives."""
DISTRUST_SECONDS = 10.0
"""After this long without a beat of its own a worker sends nothing until Postgres has confirmed that its row stands."""
DEAD_AFTER_SECONDS = 15.0
"""After this long without a beat the others declare it dead, and release what it owns."""

assert BEAT_SECONDS < DISTRUST_SECONDS < DEAD_AFTER_SECONDS
