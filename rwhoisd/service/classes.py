"""``-class`` and ``-schema``: what an area is made of (RFC 2167 §3.3.1, §3.3.10)."""

from rwhoisd.directory.render import class_record, schema_record
from rwhoisd.protocol.replies import Reply
from rwhoisd.protocol.requests import DirectiveRequest
from rwhoisd.protocol.session import Peer
from rwhoisd.service.context import Context, area_and_classes


def classes(context: Context, peer: Peer, request: DirectiveRequest) -> Reply:
    """Description and version of the classes named, or of all; 338, 340, 341."""
    image = context.image(peer)
    area, named = area_and_classes(image, request)
    lines = (line for c in named for line in class_record(c, context.dialect, image.created))
    return context.reply(*lines, charset=area.charset)


def schema(context: Context, peer: Peer, request: DirectiveRequest) -> Reply:
    """The attributes of the classes named, or of all; 338, 340, 341."""
    area, named = area_and_classes(context.image(peer), request)
    lines = (
        line
        for c in named
        for attribute in c.attributes
        for line in schema_record(c.name, attribute, context.dialect)
    )
    return context.reply(*lines, charset=area.charset)
