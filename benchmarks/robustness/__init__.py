"""Damaged files, hostile inputs, kills, and unusual but valid inputs: see ``__main__``."""
