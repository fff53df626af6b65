"""HTML that opens from disk: nothing is fetched, no script runs, and text from data is never markup."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from importlib.resources import files

import jinja2
from markupsafe import Markup, escape

from benchmark.tables.render import cell_texts, marks_of

# Pictures are data or drawn in place; the styles are our own.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_MARKUP = re.compile(r"\*\*(?P<strong>.+?)\*\*|`(?P<code>[^`]+)`")


def rendered(template: str, values: Mapping[str, object]) -> str:
    """A template of this package with its values, each of them escaped."""
    return _environment().get_template(template).render(policy=_POLICY, version=version("srreg"), **values)


def _rich(text: str) -> Markup:
    """Escaped text with the markup of notes."""
    return Markup(_MARKUP.sub(_element, str(escape(text))))


def _element(match: re.Match[str]) -> str:
    kind = match.lastgroup
    return f"<{kind}>{match[str(kind)]}</{kind}>"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("benchmark.page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    styles = files("benchmark.page").joinpath("templates", "page.css").read_text(encoding="utf-8")
    environment.globals.update(styles=Markup(styles), cell_texts=cell_texts, marks_of=marks_of)
    environment.filters["rich"] = _rich
    return environment
