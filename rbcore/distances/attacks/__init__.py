"""Attacks, one file a family: each finds a misclassified image near the clean one.

The distance of that image is an upper bound. Their default parameters, ranges and presets are
declared in `rbcore.distances.method_parameters`.
"""
