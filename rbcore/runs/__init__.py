"""Runs: their sidecars and weights, imported weights, and how they are loaded."""
