"""What makes a trained network better, or finds how to train it better: operators over runs."""
