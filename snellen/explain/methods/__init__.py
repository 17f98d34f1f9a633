"""One file, one way to look into a network; `METHODS` of a file names what it holds."""
