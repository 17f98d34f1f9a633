"""What an exported network runs in: one file a format, each with the same three verbs.

RUNTIMES of a file names its `Runtime`. Nothing is imported from PyTorch or from a runtime before
a verb is called, so that names and what is missing can be said at once.
"""
