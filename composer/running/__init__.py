"""Runs a recipe: stages, their cache, what components return, and who watches."""
