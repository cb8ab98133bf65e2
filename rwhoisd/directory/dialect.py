"""What differs between the two modes of compatibility: one table (DESIGN §6).

``arin`` answers as ARIN's rwhoisd 1.5.9.6 does, ``rfc`` as RFC 2167 says wherever
``docs/rfc2167.md`` rules so. Everything that is not in this table is equal in both.
"""

from dataclasses import dataclass
from typing import Final, Literal

from rwhoisd.directory.errors import ResponseCode

Compat = Literal["arin", "rfc"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """The differences, one field each; A and N numbers are those of the rule catalogue."""

    name: Compat
    eol: bytes  # A1, N15
    title_case_errors: bool  # A2: wording of %error
    line_octets: int | None  # ARIN cuts a line after 511 octets; None: the configured limit holds
    searches_private: bool  # R2.3.1-18: ARIN's finds by private lines what it does not show
    nul_ends_line: bool  # R3.1.9-2: what follows a NUL is dropped; in rfc mode 350 or 338
    dash_digit_is_query: bool  # N12: "-5" searches in arin mode, is 400 in rfc mode
    x_capability_bit: bool  # A4, N43
    one_directive_name: bool  # A7: -directive takes one name and lists what is off, too
    display_details: bool  # A8, A10: "DUMP" with length and description
    notify_validates: bool  # A11
    forward_follows: bool  # A9
    completes_referrals: bool  # R2.5-1: a URL without port gets :4321; verbatim in arin mode
    xfer_ignores_unknown: bool  # §5: "foo=bar" does not count; 338 in rfc mode (R3.3.14-6)
    register_blank: bool  # A12: "%register ID: x"
    register_checks_references: bool  # R3.3.9-19: 323, which ARIN's server never gives
    register_checks_scheme: bool  # R2.3.6-6: a Guard-Scheme that nobody can use is 321
    key_needs_index: bool  # §6.3: 324 only if a query for the key could find its first attribute
    mod_checks_key: bool  # R3.3.9-20: a mod to another object's key is 324; not at ARIN's (§6.4)
    mod_finds_by_query: bool  # §6.4: what "id=X" passes by (referrals, not indexed) is 336
    arin_schema: bool  # A17: line order, "Text"
    soa_contacts: bool  # A20: tech-contact, admin-contact
    unknown_attribute: ResponseCode  # A23, N32
    unknown_class: ResponseCode  # A24
    lone_class_is_word: bool  # A28
    equals_in_value: bool  # R3.4-19: "a=b=c" looks for "b=c"; 350 in arin mode
    attribute_word_is_value: bool  # "state=id": 350 in arin mode, a value in rfc mode
    leading_star_contains: bool  # N33: "*x" means contains (arin) or ends with (rfc)
    limit_leading_digits: bool  # N21: "10abc" is 10
    class_version_verbatim: bool  # N17
    format_ignores_case: bool  # N1: old templates are written for upper-cased values
    banner_name: str  # A3: text after the host in the banner

    def error_text(self, code: ResponseCode) -> str:
        """Wording of ``code``: sentence case (RFC) or ARIN's Title Case."""
        return code.arin_text if self.title_case_errors else code.text


ARIN: Final = Dialect(
    name="arin",
    eol=b"\n",
    title_case_errors=True,
    line_octets=511,
    searches_private=True,
    nul_ends_line=True,
    dash_digit_is_query=True,
    x_capability_bit=False,
    one_directive_name=True,
    display_details=True,
    notify_validates=False,
    forward_follows=False,
    completes_referrals=False,
    xfer_ignores_unknown=True,
    register_blank=True,
    register_checks_references=False,
    register_checks_scheme=False,
    key_needs_index=True,
    mod_checks_key=False,
    mod_finds_by_query=True,
    arin_schema=True,
    soa_contacts=False,
    unknown_attribute=ResponseCode.INVALID_QUERY_SYNTAX,
    unknown_class=ResponseCode.INVALID_QUERY_SYNTAX,
    lone_class_is_word=False,
    equals_in_value=False,
    attribute_word_is_value=False,
    leading_star_contains=True,
    limit_leading_digits=True,
    class_version_verbatim=True,
    format_ignores_case=True,
    banner_name="(by Network Solutions, Inc. V-1.5.9.6)",
)

RFC: Final = Dialect(
    name="rfc",
    eol=b"\r\n",
    title_case_errors=False,
    line_octets=None,
    searches_private=False,
    nul_ends_line=False,
    dash_digit_is_query=False,
    x_capability_bit=True,
    one_directive_name=False,
    display_details=False,
    notify_validates=True,
    forward_follows=True,
    completes_referrals=True,
    xfer_ignores_unknown=False,
    register_blank=False,
    register_checks_references=True,
    register_checks_scheme=True,
    key_needs_index=False,
    mod_checks_key=True,
    mod_finds_by_query=False,
    arin_schema=False,
    soa_contacts=True,
    unknown_attribute=ResponseCode.INVALID_ATTRIBUTE,
    unknown_class=ResponseCode.INVALID_CLASS,
    lone_class_is_word=True,
    equals_in_value=True,
    attribute_word_is_value=True,
    leading_star_contains=False,
    limit_leading_digits=False,
    class_version_verbatim=False,
    format_ignores_case=False,
    banner_name="(rwhoisd)",
)

DIALECTS: Final[dict[str, Dialect]] = {"arin": ARIN, "rfc": RFC}


def dialect_of(eol: bytes) -> Dialect:
    """The mode whose lines end so; an image is built for one mode, and keeps its line end."""
    return next(d for d in DIALECTS.values() if d.eol == eol)
