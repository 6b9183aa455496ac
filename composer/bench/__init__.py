"""The benchmark: everything installed on pairs of the drawn world, and its leaderboard."""
