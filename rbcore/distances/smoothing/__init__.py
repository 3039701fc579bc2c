"""Randomized smoothing: certificates of the smoothed classifier g, the noise they draw, and an attack on g."""
