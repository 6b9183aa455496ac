"""Networks: what an architecture knows of itself, and how many members run at once."""
