"""One file, one verb: words in, calls out."""
