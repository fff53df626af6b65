"""Why a subject is built, or built again, and which steps that takes: what `srreg build --dry-run` says."""

from collections.abc import Collection, Mapping, Sequence

from srreg.build.publish import sidecar_of
from srreg.build.recipe import recipe_fingerprint
from srreg.build.step import Field, Step
from srreg.build.worker import Job
from srreg.errors import DataError
from srreg.files import to_json


def why(job: Job) -> str:
    """One line, told from what the data set says of the subject; no image is read."""
    before = _before(job)
    if before is None:
        return "not built yet"
    changed = _changed_sources(job, before)
    if changed:
        return f"{', '.join(changed)} changed"
    if before.get("RecipeKey") == recipe_fingerprint(job.recipe, job.case.id):
        return "its files are damaged or missing"
    others = _other_steps(job, before)
    if not others:
        return "another version of the steps"
    return f"{', '.join(others)} with other parameters or tools; redoes {', '.join(downstream(job.recipe, others))}"


def redone(job: Job) -> list[str]:
    """The steps that building the subject takes, by the same sources; all where they do not tell."""
    before = _before(job)
    others = [] if before is None or _changed_sources(job, before) else _other_steps(job, before)
    return downstream(job.recipe, others) if others else [step.name for step in job.recipe]


def is_same_step(step: Step, subject_id: str, sidecar: Mapping[str, object]) -> bool:
    """Whether a subject was built with a step as it is now."""
    return not _is_other(step, subject_id, _of(sidecar, "Recipe"))


def downstream(recipe: Sequence[Step], changed: Collection[str]) -> list[str]:
    """Those steps and all that read, at first or second hand, what they add."""
    redone: list[str] = []
    touched: set[Field] = set()
    for step in recipe:
        if step.name in changed or touched & {*step.reads}:
            redone.append(step.name)
            touched |= {*step.adds}
    return redone


def _before(job: Job) -> Mapping[str, object] | None:
    """What the data set says of the subject; None where it is not built."""
    try:
        return sidecar_of(job.root, job.case.id)
    except DataError:
        return None


def _changed_sources(job: Job, before: Mapping[str, object]) -> list[str]:
    return [name for name, digest in job.sources.items() if _of(before, "SourceSha256").get(name) != digest]


def _other_steps(job: Job, before: Mapping[str, object]) -> list[str]:
    return [step.name for step in job.recipe if _is_other(step, job.case.id, _of(before, "Recipe"))]


def _is_other(step: Step, subject_id: str, recipe: Mapping[str, object]) -> bool:
    # Through JSON, as the sidecar went: a tuple is a list there.
    return to_json(recipe.get(step.name)) != to_json(dict(step.parameters(subject_id)))


def _of(sidecar: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = sidecar.get(name)
    return found if isinstance(found, dict) else {}
