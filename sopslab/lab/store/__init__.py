"""Recipes: how entries of the store and images are made, a module each."""
