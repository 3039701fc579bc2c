"""Randomized smoothing: certificates of the smoothed classifier g, and an attack on g."""
