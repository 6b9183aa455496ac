"""The command `composer`: its commands, and what they print."""
