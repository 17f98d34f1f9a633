"""Watches any PyTorch training and says what is wrong and what to do."""
