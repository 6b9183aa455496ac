"""Many recipes at once: the benchmark and its leaderboard."""
