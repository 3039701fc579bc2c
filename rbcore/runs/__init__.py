"""What a training leaves: runs, their sidecars and weights, weights from elsewhere, and how they are loaded."""
