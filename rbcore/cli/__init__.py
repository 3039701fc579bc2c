"""The commands of ``python -m rbcore``, and the options that they share."""
