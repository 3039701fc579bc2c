"""Training: recipes, the loop, and mitigations that change a batch or the loss."""
