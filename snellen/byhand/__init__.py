"""The notes' mathematics by hand, NumPy only: teaching material and the oracle of the tests."""
