"""What damaged files, hostile inputs, kills and odd but valid inputs come to: see `benchmarks.robustness.__main__`."""
