"""Data only: one training a file, with the score, minutes and seeds that it claims."""
