"""Which differences of an RFC-minded server from ARIN's are ruled, and how."""

from dataclasses import dataclass

from conformance.recorded import RecordedCase


@dataclass(frozen=True, slots=True)
class Rules:
    """The table of rulings."""

    def applied(self, case: RecordedCase) -> RecordedCase:
        """``case`` as it is expected of a server in mode ``rfc``."""
        return case


def load_rules() -> Rules:
    """The table."""
    return Rules()
