"""The only training loop, its recipe, its speed policy and its checkpoints."""
