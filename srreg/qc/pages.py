"""HTML of the report: pages that open from disk, fetch nothing and run only the script whose hash they name.

Text from data is never markup: jinja escapes every value, and the Content-Security-Policy would stop
what slipped through.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

import jinja2
from markupsafe import Markup

from srreg.dataset import Participant
from srreg.labels import LABELS, Label
from srreg.qc import checks
from srreg.qc.examination import Examination
from srreg.qc.finding import VERDICTS, Check, Finding, Verdict
from srreg.qc.histograms import HEIGHT, WIDTH
from srreg.qc.history import StepLine, without_folders
from srreg.qc.panels import MODES, OVERLAYS, PANELS
from srreg.qc.spread import OUTLIER_Z, Number, robust_z, strip_plot
from srreg.ratings import REASONS, Rating


@dataclass(frozen=True)
class Row:
    """A subject in the index: its line of `participants.tsv` and, where it is built, its examination.

    Args:
        rating: the newest that the data set has taken.
        images: the `SubjectKey` of its files.
    """

    participant: Participant
    examination: Examination | None = None
    rating: Rating | None = None
    images: str = ""

    @property
    def verdict(self) -> Verdict:
        """`n/a` for what is not built."""
        return "n/a" if self.examination is None else self.examination.verdict

    @property
    def reason(self) -> str:
        """Why it was not built, or not examined."""
        trouble = "" if self.examination is None else self.examination.trouble
        return without_folders(self.participant.reason) or trouble

    @property
    def objection(self) -> str:
        """Why the verdict is `fail`, in one line; empty where it is not."""
        if self.examination is None or self.verdict != "fail":
            return ""
        known = {check.name: check for check in checks.CHECKS}
        failed = [(known[f.check], f.value) for f in self.examination.findings if f.verdict == "fail"]
        told = [
            f"{check.title} {_number(value, check.digits)} {check.unit}".strip() + f" ({check.limits})"
            for check, value in failed
        ]
        return self.examination.trouble or "; ".join(told)

    @property
    def findings(self) -> Mapping[str, Finding]:
        """By check; empty where it was not examined."""
        return {} if self.examination is None else {f.check: f for f in self.examination.findings}

    @property
    def page(self) -> str:
        """File name of its page; empty where there is none."""
        return page_name(self.examination.subject) if self.examination and not self.examination.trouble else ""


def page_name(subject_id: str) -> str:
    """File name of a subject's page."""
    return f"sub-{subject_id}.html"


def index_page(title: str, rows: Sequence[Row]) -> str:
    """The page that lists every subject, built or not; subjects' pages are shown in it."""
    script = _source("index.js") + _source("rating.js")
    numbers = {check.name: _numbers(check, rows) for check in checks.CHECKS}
    plots = [strip_plot(check, numbers[check.name]) for check in checks.CHECKS]
    return _render(
        "index.html",
        script,
        "; frame-src 'self' file:",
        reasons=REASONS,
        outlier_z=OUTLIER_Z,
        plots=[plot for plot in plots if plot is not None],
        distances={name: robust_z({n.subject: n.value for n in found}) for name, found in numbers.items()},
        title=title,
        rows=rows,
        checks=checks.CHECKS,
        totals=_totals(rows),
        per_check={check.name: _tally(check, rows) for check in checks.CHECKS},
    )


def subject_page(
    title: str, row: Row, history: Sequence[StepLine], index_name: str, before: Row | None = None, after: Row | None = None
) -> str:
    """One subject's page, with links to the index and to its neighbours in the table."""
    assert row.examination is not None
    seen = row.examination
    width = max((len(s.places_mm) * s.tile_mm for s in seen.strips), default=1.0)
    return _render(
        "subject.html",
        _source("subject.js"),
        modes=MODES,
        overlays=OVERLAYS,
        plot_size=(WIDTH, HEIGHT),
        title=title,
        row=row,
        seen=seen,
        panels=PANELS,
        findings=[(check, row.findings[check.name]) for check in checks.CHECKS if check.name in row.findings],
        legend=_legend(seen),
        history=history,
        index_name=index_name,
        before=before,
        after=after,
        width_mm=width,
        height_mm=sum(s.height_mm for s in seen.strips),
    )


def content_security_policy(script: str) -> str:
    """Nothing is fetched; pictures are data; only this one script runs (none where it is empty)."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"'sha256-{digest}'" if script else "'none'"
    fixed = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    return f"{fixed}; script-src {allowed}"


def _render(template: str, script: str, more_policy: str = "", **values: object) -> str:
    policy = content_security_policy(script) + more_policy
    return (
        _environment().get_template(template).render(policy=policy, script=Markup(script), version=version("srreg"), **values)
    )


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("srreg.qc"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(marks={"pass": "✓", "warn": "!", "fail": "✕", "n/a": "–"}, styles=Markup(_source("report.css")))
    environment.filters["number"] = _number
    return environment


def _source(name: str) -> str:
    """A file beside the templates, as it stands."""
    from importlib.resources import files

    return files("srreg.qc").joinpath("templates", name).read_text(encoding="utf-8")


def _number(value: float, digits: int) -> str:
    return "–" if value != value else f"{value:.{digits}f}"


def _totals(rows: Sequence[Row]) -> dict[str, int]:
    """How many of each verdict among the built, and of each other status."""
    totals: dict[str, int] = {verdict: 0 for verdict in VERDICTS if verdict != "n/a"}
    for row in rows:
        name = row.verdict if row.examination is not None else row.participant.status
        totals[name] = totals.get(name, 0) + 1
    return totals


def _numbers(check: Check, rows: Sequence[Row]) -> list[Number]:
    """A check's numbers, of those who have one."""
    return [
        Number(row.participant.id, row.page, row.participant.centre, found.value, found.verdict)
        for row in rows
        if (found := row.findings.get(check.name)) is not None
    ]


def _tally(check: Check, rows: Sequence[Row]) -> dict[str, int]:
    found = [row.findings[check.name].verdict for row in rows if check.name in row.findings]
    return {verdict: found.count(verdict) for verdict in VERDICTS}


def _legend(seen: Examination) -> list[tuple[Label, float, float, tuple[float, float] | None]]:
    """Label, ml, percent of the labelled brain without CSF, and the plausible range of that."""
    volumes, plausible = dict(seen.label_ml), checks.PLAUSIBLE_PERCENT
    whole = sum(ml for index, ml in volumes.items() if index in plausible) or 1.0
    shown = [(label, volumes.get(label.index, 0.0)) for label in LABELS if label.index != 0]
    return [(label, ml, 100 * ml / whole, plausible.get(label.index)) for label, ml in shown]
