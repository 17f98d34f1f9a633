"""Samples, the formats they come in, splits, statistics and batched augmentation."""
