"""The error codes of RFC 2167 Appendix C, one row each, and the exception that carries one."""

from enum import IntEnum
from typing import Self


class ResponseCode(IntEnum):
    """A code of a ``%error`` line with its wording in RFC 2167 and in ARIN's server.

    The value is the three-digit code. A first digit of 5 closes the connection (RC-2);
    codes of our own would have a 6 in the middle (RC-3); there are none.
    """

    text: str
    arin_text: str

    def __new__(cls, value: int, text: str = "", arin_text: str = "") -> Self:
        """Make one row of the table."""
        member = int.__new__(cls, value)
        member._value_, member.text, member.arin_text = value, text, arin_text
        return member

    REGISTRATION_DEFERRED = 120, "Registration deferred", "Registration Deferred"
    NOT_AUTHORITATIVE = 130, "Object not authoritative", "Object not authoritative"
    NO_OBJECTS_FOUND = 230, "No objects found", "No Objects Found"
    NOT_COMPATIBLE = 300, "Not compatible with version", "Not Compatible With Version"
    INVALID_ATTRIBUTE = 320, "Invalid attribute", "Invalid Attribute"
    INVALID_ATTRIBUTE_SYNTAX = 321, "Invalid attribute syntax", "Invalid Attribute Syntax"
    ATTRIBUTE_MISSING = 322, "Required attribute missing", "Required Attribute Missing"
    REFERENCE_NOT_FOUND = 323, "Object reference not found", "Object Reference Not Found"
    KEY_NOT_UNIQUE = 324, "Primary key not unique", "Primary Key Not Unique"
    OUTDATED_OBJECT = 325, "Failed to update outdated object", "Failed to Update Outdated Object"
    LIMIT_EXCEEDED = 330, "Exceeded maximum objects limit", "Exceeded Max Objects Limit"
    INVALID_LIMIT = 331, "Invalid limit", "Invalid Limit"
    NOTHING_TO_TRANSFER = 332, "Nothing to transfer", "Nothing To Transfer"
    NOT_MASTER = 333, "Not master for authority area", "Not Master for Authority Area"
    OBJECT_NOT_FOUND = 336, "Object not found", "Object Not Found"
    INVALID_DIRECTIVE_SYNTAX = 338, "Invalid directive syntax", "Invalid Directive Syntax"
    INVALID_AREA = 340, "Invalid authority area", "Invalid Authority Area"
    INVALID_CLASS = 341, "Invalid class", "Invalid Class"
    INVALID_HOST_PORT = 342, "Invalid host/port", "Invalid Host/Port"
    INVALID_QUERY_SYNTAX = 350, "Invalid query syntax", "Invalid Query Syntax"
    QUERY_TOO_COMPLEX = 351, "Query too complex", "Query Too Complex"
    INVALID_SECURITY_METHOD = 352, "Invalid security method", "Invalid Security Method"
    AUTHENTICATION_FAILED = 353, "Authentication failed", "Authentication Failed"
    ENCRYPTION_FAILED = 354, "Encryption failed", "Encription Failed"
    DIRECTIVE_NOT_AVAILABLE = 400, "Directive not available", "Directive Not Available"
    NOT_AUTHORIZED = 401, "Not authorized for directive", "Not Authorized for Directive"
    UNIDENTIFIED = 402, "Unidentified error", "Unidentified Error"
    REGISTRATION_NOT_AUTHORIZED = (
        420,
        "Registration not authorized",
        "Registration Not Authorized",
    )
    INVALID_DISPLAY = 436, "Invalid display format", "Invalid Display Format"
    MEMORY = 500, "Memory allocation problem", "Memory Allocation Problem"
    SERVICE_NOT_AVAILABLE = 501, "Service not available", "Service Not Available"
    UNRECOVERABLE = 502, "Unrecoverable error", "Unrecoverable Error"
    IDLE = 503, "Idle time exceeded", "Idle Time Exceeded"

    @property
    def fatal(self) -> bool:
        """Whether the connection has to be closed after it (RC-2)."""
        return self >= 500


class RwhoisError(Exception):
    """A request that cannot be done, with the code and detail the peer is told."""

    def __init__(self, code: ResponseCode, detail: str = "") -> None:
        super().__init__(f"{int(code)} {code.text}" + (f": {detail}" if detail else ""))
        self.code = code
        self.detail = detail

    def __reduce__(self) -> tuple[type["RwhoisError"], tuple[ResponseCode, str]]:
        """As pickle needs it: made of code and detail, not of its text."""
        return type(self), (self.code, self.detail)
