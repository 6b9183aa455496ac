"""Networks and their files: read, recognised, inspected, saved, loaded, exported."""
