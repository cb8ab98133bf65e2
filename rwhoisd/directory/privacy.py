"""Privacy profiles: what the public reads of an object about a private customer.

ARIN's policy lets an ISP put "Private Customer" for the name of a residential customer and
"Private Residence" for the street; city, state, postal code and country stay, and so do the
contacts for abuse and for technical matters (NRPM 4.2.3.7.3.2 and 6.5.5.3). What is not known to
be harmless is left out: an attribute of an operator's own class hides until it is listed here.
"""

from dataclasses import replace
from typing import Final, Literal

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.guardian import GUARDIAN_CLASS
from rwhoisd.directory.objects import Line, Object
from rwhoisd.directory.schema import ClassDef, Schema

Profile = Literal["public", "residential"]

ATTRIBUTE: Final = "privacy"  # of an object, lower case
CUSTOMER: Final = "Private Customer"
RESIDENCE: Final = "Private Residence"

# By lower-case attribute name. What stands in none of the three is left out.
NAMES: Final = frozenset({"org-name", "name", "full-name", "customer-name", "cust-name"})
STREETS: Final = frozenset({"street-address", "street"})
KEPT: Final = frozenset(
    {
        *("class-name", "id", "auth-area", "updated", "guardian", "private", "ttl", ATTRIBUTE),
        *("ip-network", "ip-network-block", "network-name", "network-type", "origin-as"),
        *("city", "state", "postal-code", "country-code", "country"),
        *("abuse-contact", "tech-contact", "noc-contact"),
        *("status", "released", "created"),
    }
)
# They keep the directory going and are about no customer; a profile would break them.
_ALWAYS_PUBLIC: Final = frozenset({GUARDIAN_CLASS, "referral"})
# Contacts for abuse have to be seen, and a contact does not say for what it is one. So the
# profile of an area does not reach contacts: that of their class or their own does.
_CONTACT: Final = "contact"


def default_profile(class_def: ClassDef, area: AuthorityArea) -> Profile:
    """The profile of the objects of a class that say nothing themselves."""
    name = class_def.name.lower()
    if name in _ALWAYS_PUBLIC:
        return "public"
    return class_def.privacy or ("" if name == _CONTACT else area.privacy) or "public"


def profile_of(obj: Object, class_def: ClassDef, area: AuthorityArea) -> Profile:
    """The object's own profile, else that of its class, else that of its area, else public.

    A word that is no profile hides: a slip of the pen opens nothing.
    """
    said = {word for v in obj.values(ATTRIBUTE) if (word := v.strip().lower())}
    if not said or class_def.name.lower() in _ALWAYS_PUBLIC:
        return default_profile(class_def, area)
    return "public" if said == {"public"} else "residential"


def veiled(obj: Object, class_def: ClassDef, area: AuthorityArea) -> Object | None:
    """The object as the public reads it; None when its profile takes nothing from it."""
    if profile_of(obj, class_def, area) == "public":
        return None
    customer = f"{CUSTOMER} - {area.operator}" if area.operator else CUSTOMER
    instead = dict.fromkeys(NAMES, customer) | dict.fromkeys(STREETS, RESIDENCE)
    kept: list[Line] = []
    for name, value in obj.lines:
        folded = name.lower()
        if folded in KEPT:
            kept.append((name, value))
        elif folded in instead:
            kept.append((name, instead.pop(folded)))  # once, however many lines it had
    return replace(obj, lines=tuple(kept))


def with_profiles_of(area: AuthorityArea, before: AuthorityArea) -> AuthorityArea:
    """The area with the profiles it had, for definitions that come from where there are none."""
    had = {c.name.lower(): c.privacy for c in before.schema.classes}
    classes = [replace(c, privacy=had.get(c.name.lower(), "")) for c in area.schema.classes]
    schema = Schema(tuple(classes))
    return replace(area, schema=schema, privacy=before.privacy, operator=before.operator)


def opened(area: AuthorityArea, before: AuthorityArea) -> list[str]:
    """The classes whose objects a profile hid by their definition, and now does not."""
    found = []
    for class_def in area.schema.classes:
        had = before.schema.class_def(class_def.name)
        hid = had is not None and default_profile(had, before) != "public"
        if hid and default_profile(class_def, area) == "public":
            found.append(class_def.name)
    return found
