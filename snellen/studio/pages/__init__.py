"""What the studio answers, one address or a few a file."""
