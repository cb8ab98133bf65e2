"""What every handler gets, and what several of them need."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rwhoisd.directory.area import AuthorityArea
from rwhoisd.directory.dialect import Dialect
from rwhoisd.directory.errors import ResponseCode, RwhoisError
from rwhoisd.directory.schema import ClassDef
from rwhoisd.image.current import ImageReader
from rwhoisd.image.reader import Image
from rwhoisd.protocol.directives import Directive, DirectiveTable
from rwhoisd.protocol.replies import Reply, body
from rwhoisd.protocol.requests import DirectiveRequest
from rwhoisd.protocol.session import Peer
from rwhoisd.service.ports import Ports
from rwhoisd.service.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class Context:
    """The service as its handlers see it."""

    reader: ImageReader
    settings: ServiceSettings
    table: DirectiveTable
    ports: Ports
    banner: bytes

    @property
    def dialect(self) -> Dialect:
        """The mode of the server."""
        return self.settings.dialect

    def image(self, peer: Peer) -> Image:
        """The newest finished image, as ``peer`` gets to see it."""
        image = self.reader.current()
        return image.view_for(peer.address) if image.restricted else image

    def may_use(self, row: Directive, peer: Peer) -> bool:
        """Whether ``peer`` may use a directive; asked by its canonical name (B6)."""
        return self.settings.may_use(row.name, peer.address)

    def reply(self, *lines: str, charset: str = "utf-8") -> Reply:
        """A reply of ``lines`` that ends in %ok."""
        return Reply(body(lines, self.settings.dialect, charset))


Answering = Reply | Awaitable[Reply]
Handler = Callable[[Context, Peer, DirectiveRequest], Answering]


def syntax_error(detail: str = "") -> RwhoisError:
    """338: the arguments are wrong."""
    return RwhoisError(ResponseCode.INVALID_DIRECTIVE_SYNTAX, detail)


def on_or_off(request: DirectiveRequest) -> bool:
    """The switch that is the whole text of ``request`` (R3.1.9-8). Raises: RwhoisError 338."""
    match request.text.lower():
        case "on":
            return True
        case "off":
            return False
    raise syntax_error()


def find_area(image: Image, name: str) -> AuthorityArea:
    """The area called ``name``, in any case, if the image shows it. Raises: RwhoisError 340."""
    area = image.area(name)
    if area is None:
        raise RwhoisError(ResponseCode.INVALID_AREA)
    return area


def find_class(area: AuthorityArea, name: str) -> ClassDef:
    """The class called ``name`` or an alias of it. Raises: RwhoisError 341."""
    class_def = area.schema.class_def(name)
    if class_def is None:
        raise RwhoisError(ResponseCode.INVALID_CLASS)
    return class_def


def area_and_classes(
    image: Image, request: DirectiveRequest
) -> tuple[AuthorityArea, tuple[ClassDef, ...]]:
    """What ``AREA [CLASS ...]`` names: all classes when none is named, else as asked (B27).

    Raises: RwhoisError 338, 340, 341; nothing is shown before an error (R3.3.1-6).
    """
    arguments = request.arguments
    if not arguments:
        raise syntax_error()
    area = find_area(image, arguments[0])
    named = tuple(find_class(area, name) for name in arguments[1:])
    return area, named or area.schema.classes
