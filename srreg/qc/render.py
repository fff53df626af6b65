"""From a template to HTML that runs only the scripts its policy names.

Text from data is never markup: jinja escapes every value, and the Content-Security-Policy would stop
what slipped through.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from importlib.resources import files

import jinja2
from markupsafe import Markup


def content_security_policy(script: str, more: Mapping[str, str] | None = None) -> str:
    """Nothing is fetched; pictures are data; only this one script runs; `more` names what else, by directive."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "script-src": f"'sha256-{digest}'",
    }
    for directive, sources in (more or {}).items():
        allowed[directive] = f"{allowed.get(directive, '')} {sources}".strip()
    return "; ".join(f"{directive} {sources}" for directive, sources in allowed.items())


def render(template: str, script: str, more_policy: Mapping[str, str] | None = None, **values: object) -> str:
    """A page: a template with its values and its one script, under the policy for them."""
    policy = content_security_policy(script, more_policy)
    page = _environment().get_template(template)
    return page.render(policy=policy, script=Markup(script), version=version("srreg"), **values)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("srreg.qc"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(marks={"pass": "✓", "warn": "!", "fail": "✕", "n/a": "–"}, styles=Markup(source("report.css")))
    environment.filters["number"] = number_text
    return environment


def source(name: str) -> str:
    """A file beside the templates, as it stands."""
    return files("srreg.qc").joinpath("templates", name).read_text(encoding="utf-8")


def number_text(value: float, digits: int) -> str:
    """A number as the pages show it; a dash for nan."""
    return "–" if value != value else f"{value:.{digits}f}"
