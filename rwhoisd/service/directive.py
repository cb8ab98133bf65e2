"""``-directive``: the directives of this server (RFC 2167 §3.3.2)."""

from collections.abc import Sequence

from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.protocol.directives import Directive
from rwhoisd.protocol.replies import Reply
from rwhoisd.protocol.requests import DirectiveRequest
from rwhoisd.protocol.session import Peer
from rwhoisd.service.context import Context, syntax_error


def directive(context: Context, peer: Peer, request: DirectiveRequest) -> Reply:
    """Name and description of the directives named, or of all; 400 for an unknown one (B1).

    ARIN's takes one name and lists what is switched off as well (A7); the RFC's takes several
    and lists what this client can use (N18).
    """
    arguments = request.arguments
    if context.dialect.one_directive_name and len(arguments) > 1:
        raise syntax_error()
    rows = _named(context, peer, arguments) if arguments else _listed(context, peer)
    return context.reply(*(line for row in rows for line in _record(row)))


def _listed(context: Context, peer: Peer) -> list[Directive]:
    return [row for row in context.table.rows if _shown(context, peer, row)]


def _named(context: Context, peer: Peer, names: Sequence[str]) -> list[Directive]:
    rows = []
    for name in names:
        row = context.table.find(name)
        if row is None or not _shown(context, peer, row):
            raise RwhoisError(ResponseCode.DIRECTIVE_NOT_AVAILABLE)
        rows.append(row)
    return rows


def _shown(context: Context, peer: Peer, row: Directive) -> bool:
    if context.dialect.one_directive_name:
        return True
    return context.table.is_on(row) and context.may_use(row, peer)


def _record(row: Directive) -> list[str]:
    prefix = "%directive"
    return [f"{prefix} directive:{row.name}", f"{prefix} description:{row.description}", prefix]
