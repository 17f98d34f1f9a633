"""One file, one format: FORMATS names what it reads and how it recognises it."""
