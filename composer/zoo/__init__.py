"""A folder of concepts, each a model that knows it."""
