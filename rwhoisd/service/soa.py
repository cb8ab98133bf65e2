"""``-soa``: the start of authority of areas (RFC 2167 §3.3.12)."""

from rwhoisd.directory.render import soa_record
from rwhoisd.protocol.replies import Reply, body
from rwhoisd.protocol.requests import DirectiveRequest
from rwhoisd.protocol.session import Peer
from rwhoisd.service.context import Context, find_area


def soa(context: Context, peer: Peer, request: DirectiveRequest) -> Reply:
    """SOA of the areas named, in that order, or of all; 340 for an unknown one, and no data."""
    image = context.image(peer)
    areas = tuple(find_area(image, name) for name in request.arguments) or image.areas
    dialect = context.dialect
    return Reply(b"".join(body(soa_record(a, dialect), dialect, a.charset) for a in areas))
