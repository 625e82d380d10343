"""Renders messages from the Jinja2 files beside it: HTML and text of e-mails, text of SMS.

`<name>.txt` is an e-mail's text, its subject in the first line; `<name>.html` is the same for the eye; `<name>.sms`
is an SMS. Nothing rendered is kept anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateNotFound, select_autoescape

#: GSM 03.38: what fits one SMS; longer ones cost twice and may come in parts.
SMS_LENGTH = 160


@dataclass(frozen=True, slots=True)
class Rendered:
    """An e-mail's parts."""

    subject: str
    html: str
    text: str


class UnknownTemplate(Exception):
    """There is no template of this name for this channel."""


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("lotpro_notifications", "templates/files"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )


def render_mail(name: str, facts: Mapping[str, Any]) -> Rendered:
    """An e-mail with these facts; raises UnknownTemplate."""
    subject, _, text = _render(f"{name}.txt", facts).partition("\n")
    html = _render(f"{name}.html", {**facts, "subject": subject})
    # A name with a line break in it must not become a header of the e-mail.
    return Rendered(subject=" ".join(subject.split()), html=html, text=text.strip() + "\n")


def render_sms(name: str, facts: Mapping[str, Any]) -> str:
    """An SMS with these facts, cut at SMS_LENGTH; raises UnknownTemplate."""
    return " ".join(_render(f"{name}.sms", facts).split())[:SMS_LENGTH]


def _render(file: str, facts: Mapping[str, Any]) -> str:
    try:
        return _environment().get_template(file).render(facts)
    except TemplateNotFound as error:
        raise UnknownTemplate(file) from error
