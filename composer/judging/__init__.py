"""What scores are worth: parents, controls, an oracle, and luck."""
