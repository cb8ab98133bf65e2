"""Time-stamps and the start of authority of an area (RFC 2167 §2.6.2, §3.1.9)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True, order=True)
class TimeStamp:
    """``yyyymmddhhmmssmmm``, GMT (§3.1.9). Text order is time order."""

    text: str

    def __post_init__(self) -> None:
        if len(self.text) != 17 or not (self.text.isascii() and self.text.isdigit()):
            raise ValueError(f"time-stamp needs 17 digits, got {self.text!r}")

    @classmethod
    def from_datetime(cls, moment: datetime) -> "TimeStamp":
        """Time-stamp of an aware datetime, cut to milliseconds."""
        moment = moment.astimezone(UTC)
        return cls(moment.strftime("%Y%m%d%H%M%S") + f"{moment.microsecond // 1000:03d}")

    @classmethod
    def padded(cls, text: str) -> "TimeStamp | None":
        """Time-stamp of a shorter run of digits such as ``19961023``, zeros behind (B37)."""
        if not (text.isascii() and text.isdigit() and 8 <= len(text) <= 17):
            return None
        return cls(text.ljust(17, "0"))

    def to_datetime(self) -> datetime:
        """The moment. Raises: ValueError, when the digits are no date."""
        moment = datetime.strptime(self.text[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        return moment + timedelta(milliseconds=int(self.text[14:]))

    def next(self, now: "TimeStamp") -> "TimeStamp":
        """The serial of the next change: ``max(now, this + 1 ms)``, so that serials grow.

        A serial whose digits are no date (ARIN's server keeps any) is left behind at ``now``
        when that is greater, and else counted up as a number.
        """
        if now > self:
            return now
        try:
            return TimeStamp.from_datetime(self.to_datetime() + timedelta(milliseconds=1))
        except (ValueError, OverflowError):
            return TimeStamp(str(int(self.text) + 1).rjust(17, "0"))


@dataclass(frozen=True, slots=True)
class Soa:
    """Start of authority of one area. Intervals are seconds; contacts are mail addresses.

    ``serial_number`` is text: ARIN's SOA files hold anything, and it is shown as it is.
    """

    serial_number: str
    refresh_interval: int = 3600
    increment_interval: int = 1800
    retry_interval: int = 60
    time_to_live: int = 86400
    primary_server: str = "localhost:4321"
    hostmaster: str = ""
    tech_contact: str = ""  # empty: the hostmaster is shown (A20)
    admin_contact: str = ""
