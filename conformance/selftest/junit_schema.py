"""
What Jenkins' xUnit plugin accepts as JUnit, written down as a schema of our own from what its schema (junit-10) allows.

Elements and attributes that are not named are refused, as there: above all `file` and `line` of a case. Nested suites
and repeated runs, which we never write, are left out, so this accepts nothing that Jenkins refuses.
"""

from __future__ import annotations

from typing import Any

from lxml import etree

TIME = r"[0-9]*(\.[0-9]*)?"
CASE_OUTCOMES = ("skipped", "error", "failure")
ATTRIBUTES = {
    "testsuites": {"required": (), "optional": ("name", "tests", "failures", "errors", "time")},
    "testsuite": {
        "required": ("name", "tests", "failures", "errors"),
        "optional": ("skipped", "time", "timestamp", "hostname", "id", "package", "file", "url"),
    },
    "testcase": {"required": ("name",), "optional": ("classname", "time", "group")},
    "outcome": {"required": (), "optional": ("type", "message")},
}


def _attributes(element: str) -> str:
    lines = []
    for use in ("required", "optional"):
        for name in ATTRIBUTES[element][use]:
            # Of a case any text is a time; of a suite only a number is.
            kind = "seconds" if name == "time" and element != "testcase" else "xs:string"
            lines.append(f'<xs:attribute name="{name}" type="{kind}" use="{use}"/>')
    return "".join(lines)


def _element(name: str, content: str, kind: str, *, mixed: bool = False) -> str:
    text = ' mixed="true"' if mixed else ""
    return f'<xs:element name="{name}"><xs:complexType{text}>{content}{_attributes(kind)}</xs:complexType></xs:element>'


def _any_of(*names: str) -> str:
    refs = "".join(f'<xs:element ref="{name}"/>' for name in names)
    return f'<xs:choice minOccurs="0" maxOccurs="unbounded">{refs}</xs:choice>'


SCHEMA = (
    '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">'
    f'<xs:simpleType name="seconds"><xs:restriction base="xs:string"><xs:pattern value="{TIME}"/></xs:restriction>'
    "</xs:simpleType>"
    + "".join(_element(name, "", "outcome", mixed=True) for name in CASE_OUTCOMES)
    + _element("testcase", _any_of(*CASE_OUTCOMES), "testcase")
    + _element("testsuite", _any_of("testcase"), "testsuite")
    + _element("testsuites", _any_of("testsuite"), "testsuites")
    + "</xs:schema>"
)


def errors(text: str) -> list[str]:
    """What a strict reader refuses in a JUnit file, with line; nothing where it takes the file."""
    schema: Any = etree.XMLSchema(etree.fromstring(SCHEMA))
    schema.validate(etree.fromstring(text.encode()))
    return [f"line {each.line}: {each.message}" for each in schema.error_log]
