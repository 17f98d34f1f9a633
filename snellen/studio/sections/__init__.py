"""The parts of a run's page, one a file."""
