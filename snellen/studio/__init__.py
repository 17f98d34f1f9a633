"""The local page: run folders, read and shown. It has no logic of its own and writes nothing."""
