"""Parts that PyTorch lacks or hides; what PyTorch has is used, not rewritten."""
