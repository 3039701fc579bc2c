"""What all pages share: the menu, the selection, cached results, running jobs."""
