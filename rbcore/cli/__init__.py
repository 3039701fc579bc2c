"""The commands of ``python -m rbcore`` that fill a file of their own, and the options that all share."""
