"""Whether backward computes the slope of forward, by differences in double precision."""
