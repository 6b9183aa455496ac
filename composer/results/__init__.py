"""The folder of a finished run: what stands in it, in tables, words and numbers."""
