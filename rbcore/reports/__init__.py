"""Reports that stand alone: of one selection, and of the paper's analyses."""
