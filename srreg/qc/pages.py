"""The pages of the report: the index and one a subject; from disk they fetch nothing, served they also send ratings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from srreg.dataset import Participant
from srreg.labels import LABELS, Label
from srreg.qc import checks
from srreg.qc.examination import Examination
from srreg.qc.finding import VERDICTS, Check, Finding, Verdict
from srreg.qc.histograms import HEIGHT, WIDTH
from srreg.qc.history import StepLine, without_folders
from srreg.qc.panels import MODES, OVERLAYS, PANELS, VIEWS
from srreg.qc.render import number_text, render, source
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
            f"{check.title} {number_text(value, check.digits)} {check.unit}".strip() + f" ({check.limits})"
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


def index_page(title: str, rows: Sequence[Row], is_served: bool = False) -> str:
    """The page that lists every subject, built or not; subjects' pages are shown in it. Served, it sends each rating."""
    script = source("index.js") + source("rating.js") + (source("sending.js") if is_served else "")
    numbers = {check.name: _numbers(check, rows) for check in checks.CHECKS}
    plots = [strip_plot(check, numbers[check.name]) for check in checks.CHECKS]
    return render(
        "index.html",
        script,
        {"frame-src": "'self'", "connect-src": "'self'"} if is_served else {"frame-src": "'self' file:"},
        is_served=is_served,
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
    title: str,
    row: Row,
    history: Sequence[StepLine],
    index_name: str,
    before: Row | None = None,
    after: Row | None = None,
    viewer: str = "",
) -> str:
    """One subject's page, with links to the index, to its neighbours in the table and, where it is served, to the viewer."""
    assert row.examination is not None
    seen = row.examination
    width = max((len(s.places_mm) * s.tile_mm for s in seen.strips), default=1.0)
    return render(
        "subject.html",
        source("subject.js"),
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
        viewer=viewer,
        before=before,
        after=after,
        width_mm=width,
        height_mm=sum(s.height_mm for s in seen.strips),
    )


def viewer_page(title: str, subject_id: str, index_name: str, volumes: Mapping[str, str], library: str) -> str:
    """A subject's volumes in 3-D; only where the report is served, for files cannot fetch files.

    Args:
        title: of the data set.
        subject_id: whose.
        index_name: address of the index.
        volumes: addresses of `mr`, `ct` and `labels`.
        library: address of NiiVue.
    """
    return render(
        "viewer.html",
        source("viewer.js"),
        {"script-src": "'self'", "connect-src": "'self'"},
        title=title,
        subject=subject_id,
        page=page_name(subject_id),
        index_name=index_name,
        views=VIEWS,
        volumes=volumes,
        library=library,
        labels=[label for label in LABELS if label.index != 0],
    )


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
