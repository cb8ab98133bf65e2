"""Privacy profiles: what the public reads of an object about a private customer.

ARIN's policy lets an ISP put "Private Customer" for the name of a residential customer and
"Private Residence" for the street; city, state, postal code and country stay, and so do the
contacts for abuse and for technical matters (NRPM 4.2.3.7.3.2 and 6.5.5.3). What is not known to
be harmless is left out: an attribute of an operator's own class hides until it is listed here.

An ``internal`` object is answered to the networks that its area names for it (``internal_to``); for
everybody else there is no such object.
"""

from dataclasses import replace
from typing import Final, Literal, get_args

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.guardian import GUARDIAN_CLASS
from rwhoisd.directory.objects import Line, Object
from rwhoisd.directory.schema import ClassDef, Schema

Profile = Literal["public", "residential", "internal"]
PROFILES: Final[tuple[Profile, ...]] = get_args(Profile)  # the one that hides most comes last

ATTRIBUTE: Final = "privacy"  # of an object, lower case
CUSTOMER: Final = "Private Customer"
RESIDENCE: Final = "Private Residence"

_WORDS: Final = frozenset(PROFILES)
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
# Contacts for abuse have to be seen, and a contact does not say for what it is one. So that an
# area is residential does not reach contacts: the profile of their class or their own does.
_CONTACT: Final = "contact"


def default_profile(class_def: ClassDef, area: AuthorityArea) -> Profile:
    """The profile of the objects of a class that say nothing themselves."""
    name = class_def.name.lower()
    if name in _ALWAYS_PUBLIC:
        return "public"
    spared = name == _CONTACT and area.privacy == "residential"
    return class_def.privacy or ("" if spared else area.privacy) or "public"


def profile_of(obj: Object, class_def: ClassDef, area: AuthorityArea) -> Profile:
    """The object's own profile, else that of its class, else that of its area, else public.

    Of several words the one that hides most counts. One that is no profile hides as ``internal``:
    a slip of the pen opens nothing.
    """
    said = {word for v in obj.values(ATTRIBUTE) if (word := v.strip().lower())}
    if not said or class_def.name.lower() in _ALWAYS_PUBLIC:
        return default_profile(class_def, area)
    if not said <= _WORDS:
        return "internal"
    return max((p for p in PROFILES if p in said), key=PROFILES.index)


def is_internal(obj: Object, class_def: ClassDef, area: AuthorityArea) -> bool:
    """Whether the object is there for the networks of ``internal_to`` only."""
    return profile_of(obj, class_def, area) == "internal"


def veiled(obj: Object, class_def: ClassDef, area: AuthorityArea) -> Object | None:
    """The object as it is read by whom it is answered to; None when nothing is taken from it."""
    if profile_of(obj, class_def, area) != "residential":
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
    """The area with the profiles it had, for definitions that come from where there are none.

    Guardians of classes, which those cannot say either, stay as well.
    """
    had = {c.name.lower(): (c.privacy, c.guardians) for c in before.schema.classes}
    classes = []
    for class_def in area.schema.classes:
        privacy, guardians = had.get(class_def.name.lower(), ("", ()))
        classes.append(replace(class_def, privacy=privacy, guardians=guardians))
    schema = Schema(tuple(classes))
    return replace(
        area,
        schema=schema,
        privacy=before.privacy,
        operator=before.operator,
        internal_to=before.internal_to,
    )


def opened(area: AuthorityArea, before: AuthorityArea) -> list[str]:
    """The classes whose objects are hidden less by their definition than before."""
    found = []
    for class_def in area.schema.classes:
        had = before.schema.class_def(class_def.name)
        hid = 0 if had is None else PROFILES.index(default_profile(had, before))
        if PROFILES.index(default_profile(class_def, area)) < hid:
            found.append(class_def.name)
    return found
