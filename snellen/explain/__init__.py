"""What a network sees: maps of what counts, pictures of what it answers to; any nn.Module."""
