"""What a recipe says: read from YAML with its places, checked, and described by a schema."""
