"""The written set as plays."""

from pathlib import Path

from conformance.runner import Play

DATA = Path(__file__).parent / "rfc" / "data"


def load_rfc() -> list[Play]:
    """The written set."""
    return []
