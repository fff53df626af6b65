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
    try:
        before = sidecar_of(job.root, job.case.id)
    except DataError:
        return "not built yet"
    changed = [name for name, digest in job.sources.items() if _of(before, "SourceSha256").get(name) != digest]
    if changed:
        return f"{', '.join(changed)} changed"
    if before.get("RecipeKey") == recipe_fingerprint(job.recipe, job.case.id):
        return "its files are damaged or missing"
    others = [step.name for step in job.recipe if _is_other(step, job.case.id, _of(before, "Recipe"))]
    if not others:
        return "another version of the steps"
    return f"{', '.join(others)} with other parameters or tools; redoes {', '.join(downstream(job.recipe, others))}"


def downstream(recipe: Sequence[Step], changed: Collection[str]) -> list[str]:
    """Those steps and all that read, at first or second hand, what they add."""
    redone: list[str] = []
    touched: set[Field] = set()
    for step in recipe:
        if step.name in changed or touched & {*step.reads}:
            redone.append(step.name)
            touched |= {*step.adds}
    return redone


def _is_other(step: Step, subject_id: str, recipe: Mapping[str, object]) -> bool:
    # Through JSON, as the sidecar went: a tuple is a list there.
    return to_json(recipe.get(step.name)) != to_json(dict(step.parameters(subject_id)))


def _of(sidecar: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = sidecar.get(name)
    return found if isinstance(found, dict) else {}
