"""The notes' optimisers and schedules by their names, over torch.optim."""
