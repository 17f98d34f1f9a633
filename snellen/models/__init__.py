"""One file, one family: the paper, its blocks, and TABLE with claimed sizes."""
