"""One file, one task: what a network is trained for, from sample to score."""
