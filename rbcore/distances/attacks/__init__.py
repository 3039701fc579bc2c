"""Attacks, one file a family: each finds a misclassified image near the clean one, so its distance is an upper bound."""
