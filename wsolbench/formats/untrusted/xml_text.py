"""XML of strangers: bounded in bytes, depth and elements, without document types and entities.

Python's parser builds an object of about 100 bytes an element and frees nested ones recursively:
a few MB of nested elements took 30 s and 1.8 GB. The events of expat are counted before the tree
is built. defusedxml refuses document types and entities. All of that happens in a reader process.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from ...errors import WsolbenchError
from .process import give_back, has_readers, take
from .trust import trusted_files

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["MAX_XML_BYTES", "parse_xml", "tree_of"]

MAX_XML_BYTES = 1 << 20
"""Bytes of a file: a thousand times the usual size."""

MAX_ELEMENTS = 50_000
"""Elements of a file: 5,000 boxes with ten elements each."""

MAX_DEPTH = 32
"""Elements within each other: annotations of PASCAL VOC have 5."""


def parse_xml(content: bytes) -> Element:
    """The root of a document, with tags, attributes and texts, parsed in a reader process.

    Raises:
        ValueError: too large, too deep, invalid, or with a document type or entities.
    """
    if len(content) > MAX_XML_BYTES:
        raise ValueError(f"more than {MAX_XML_BYTES} bytes")
    if trusted_files() or not has_readers():
        return _element(tree_of(content))
    reader = take("xml")
    try:
        # Latin-1 gives each byte a character, so that JSON can carry them.
        tree, _ = reader.ask({"act": "xml", "content": content.decode("latin-1")})
    except WsolbenchError as error:
        raise ValueError(error.found) from error
    finally:
        give_back(reader)
    return _element(tree)


def tree_of(content: bytes) -> list[Any]:
    """A document as nested lists: tag, text, attributes, children.

    Raises:
        ValueError: as in `parse_xml`.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    _count(content)
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, UnicodeError, LookupError, ValueError) as error:
        raise ValueError(f"invalid XML ({type(error).__name__})") from error

    def listed(element: Element) -> list[Any]:
        return [element.tag, element.text, element.attrib, [listed(child) for child in element]]

    return listed(root)


def _element(tree: list[Any]) -> Element:
    from xml.etree.ElementTree import Element

    tag, text, attributes, children = tree
    element = Element(tag, attributes)
    element.text = text
    element.extend(_element(child) for child in children)
    return element


def _count(content: bytes) -> None:
    """Refuse what would take long or much memory as a tree."""
    parser = expat.ParserCreate()
    depth = elements = 0

    def start(*_: object) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if depth > MAX_DEPTH:
            raise ValueError(f"more than {MAX_DEPTH} elements within each other")
        if elements > MAX_ELEMENTS:
            raise ValueError(f"more than {MAX_ELEMENTS} elements")

    def end(_: object) -> None:
        nonlocal depth
        depth -= 1

    def forbidden(*_: object) -> None:
        raise ValueError("invalid XML (DTDForbidden)")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = forbidden
    with suppress(expat.ExpatError, UnicodeError, LookupError):  # told by the parser of the tree
        parser.Parse(content, True)
