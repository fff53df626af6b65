"""A data set never mixes two recipes, nor real heads and simulated ones: what stays must be as this run would build it."""

from srreg.build.claims import live
from srreg.build.plan import Plan
from srreg.build.publish import is_published, sidecar_of
from srreg.build.recipe import recipe_fingerprint
from srreg.build.settings import BuildSettings
from srreg.build.worker import claims_folder
from srreg.dataset import Participant
from srreg.errors import DataError, UsageError
from srreg.files import read_json


def check_not_mixed(settings: BuildSettings, todo: Plan, previous: dict[str, Participant], simulated: bool) -> None:
    """Refuse a run that would leave other subjects standing beside its own.

    Raises:
        UsageError: with the number of those, and one of them.
    """
    touched = {job.case.id for job in todo.jobs} | {o.id for o in todo.failed} | {*todo.excluded, *todo.ready, *todo.busy}
    there = [i for i, p in previous.items() if p.is_published and i not in touched]
    staying = [i for i in there if is_published(settings.out, i)]
    if not staying:
        return
    if read_json(settings.out / "dataset_description.json").get("Simulated") != simulated:
        raise UsageError(f"{settings.out} holds {len(staying)} subjects of another kind of source; choose another --out")
    other = [i for i in staying if not _is_of_recipe(settings, i)]
    if other:
        raise UsageError(
            f"{settings.out} holds {len(other)} subjects built otherwise, {other[0]} for one, which this run would leave "
            "beside its own. Build all of them, or choose another --out."
        )


def _is_of_recipe(settings: BuildSettings, subject_id: str) -> bool:
    """Whether a subject was built by these steps, tools and parameters."""
    try:
        return sidecar_of(settings.out, subject_id)["RecipeKey"] == recipe_fingerprint(settings.recipe, subject_id)
    except (DataError, KeyError):
        return False


def check_same_as_at_work(settings: BuildSettings, simulated: bool) -> None:
    """Refuse a shard of another build than the shards that are at work, of which nothing may be built yet.

    Raises:
        UsageError: tools, size, alignment or the kind of source differ.
    """
    path = settings.out / "dataset_description.json"
    if not live(claims_folder(settings.out)) or not path.is_file():
        return
    found = read_json(path)
    if found.get("Recipe") != settings.described() or found.get("Simulated") != simulated:
        raise UsageError(
            f"{settings.out}: shards of another build are at work in it ({found.get('Recipe')}); choose another --out"
        )
