"""What course notes tell in words, measured and drawn: one file a lesson."""
