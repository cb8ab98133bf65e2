"""Fuzzing: whatever bytes come, what is promised of them holds (``python -m fuzz --help``).

Two targets, each a function of the bytes of one input: ``session`` has a conversation with the
service over a small directory, ``loaders`` reads a damaged file. An input begins with a line of
words that say what is done with the rest, so that people can read it, and write one.
"""
