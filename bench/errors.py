"""The one exception of the measuring programs."""


class BenchError(Exception):
    """Something that a person has to mend before anything can be measured; says what."""
