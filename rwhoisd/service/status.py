"""``-status``: the state of the session and the server (RFC 2167 §3.3.13)."""

from rwhoisd.directory.render import on_off
from rwhoisd.image.reader import Image
from rwhoisd.protocol.replies import Reply
from rwhoisd.protocol.requests import DirectiveRequest
from rwhoisd.protocol.session import Peer
from rwhoisd.service.context import Context, syntax_error
from rwhoisd.service.display import shown_format


def status(context: Context, peer: Peer, request: DirectiveRequest) -> Reply:
    """Six lines; 338 with an argument."""
    if request.text:
        raise syntax_error()
    image = context.image(peer)
    fields = {
        "limit": peer.limit,
        "holdconnect": on_off(peer.holdconnect),
        "forward": on_off(peer.forward),
        "objects": image.findable_count,  # ARIN's counts what its indexer took
        "display": shown_format(context.dialect, peer),
        "contact": _contact(context, image),
    }
    return context.reply(*(f"%status {name}:{value}" for name, value in fields.items()))


def _contact(context: Context, image: Image) -> str:
    """The configured address; ARIN's server shows a space without one, the RFC wants one."""
    if context.settings.contact or context.dialect.display_details:
        return context.settings.contact or " "
    numbers = (n for n in range(len(image.scopes.areas)) if n not in image.hidden)
    soas = (image.area_at(n).soa for n in numbers)
    return next((soa.hostmaster for soa in soas if soa and soa.hostmaster), "")
