"""What a served report consists of: its pages, volumes and scripts by their addresses, and where ratings arrive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from srreg.dataset import Dataset
from srreg.errors import DataError, SrregError
from srreg.qc.examination import Examination, kept_examination, load
from srreg.qc.history import StepLine, read_history, without_folders
from srreg.qc.pages import Row, index_page, subject_page, viewer_page
from srreg.qc.report import KEPT, rows_of, title_of
from srreg.qc.serve.guard import Guard
from srreg.qc.serve.rating_store import RatingStore
from srreg.ratings import decided, read_ratings

_INDEX = "index.html"
_VOLUMES = ("mr", "ct", "labels")
_LARGEST_BODY = 1 << 16  # bytes; a comment has at most 2000 characters
_LIBRARY = files("srreg.qc").joinpath("vendor", "niivue", "niivue.umd.js")


@dataclass(frozen=True, eq=False)
class Site:
    """The last report of a data set, to be looked at in a browser; nothing is measured and nothing but ratings is written.

    Args:
        rows: in the order of the index, without pictures: these are read when a page is asked for.
        history: subject -> how it was built.
    """

    dataset: Dataset
    rows: Sequence[Row]
    history: Mapping[str, Sequence[StepLine]]
    store: RatingStore

    @classmethod
    def open(cls, dataset: Dataset) -> "Site":
        """Take the report that lies in a data set.

        Raises:
            DataError: no report of the subjects as they are built now, or ratings beside it that cannot be read.
        """
        store = RatingStore(dataset)
        store.read()  # a file that is none of ours is told before anybody rates
        rows = rows_of(dataset, _found(dataset), read_ratings(dataset.root))
        return cls(dataset, rows, read_history(dataset.root / "manifest.jsonl"), store)

    def routes(self) -> list[Route]:
        """Every address there is; an id or a kind is looked up, never made a path of."""
        return [
            Route("/", self.index),
            Route(f"/{_INDEX}", self.index),
            Route("/sub-{subject}.html", self.subject),
            Route("/viewer-{subject}.html", self.viewer),
            Route("/volumes/{subject}/{kind}.nii.gz", self.volume),
            Route("/niivue.js", self.library),
            Route("/ratings", self.rate, methods=["POST"]),
        ]

    def index(self, request: Request) -> Response:
        """The index with the newest ratings."""
        root = self.dataset.root
        decisions = decided(root, [*read_ratings(root), *self.store.read()])
        rows = [replace(row, rating=decisions.get(row.participant.id)) for row in self.rows]
        return HTMLResponse(index_page(title_of(self.dataset), rows, is_served=True))

    def subject(self, request: Request) -> Response:
        """A subject's page, with its link to the viewer."""
        row = self._row(request)
        assert row.examination is not None
        examination = load(_kept(self.dataset) / f"sub-{row.participant.id}.json", row.examination.key)
        if examination is None:
            raise HTTPException(
                409, "There is a newer report than the one that is served; end srreg qc serve and start it again."
            )
        shown = self._shown()
        place = shown.index(row)
        before, after = (shown[n] if 0 <= n < len(shown) else None for n in (place - 1, place + 1))
        steps, viewer = self.history.get(row.participant.id, []), f"viewer-{row.participant.id}.html"
        whole = replace(row, examination=examination)
        return HTMLResponse(subject_page(title_of(self.dataset), whole, steps, _INDEX, before, after, viewer))

    def viewer(self, request: Request) -> Response:
        """A subject's volumes in 3-D."""
        subject_id = self._row(request).participant.id
        volumes = {kind: f"volumes/{subject_id}/{kind}.nii.gz" for kind in _VOLUMES}
        return HTMLResponse(viewer_page(title_of(self.dataset), subject_id, _INDEX, volumes, "niivue.js"))

    def volume(self, request: Request) -> Response:
        """One file of a subject."""
        subject_id, kind = self._row(request).participant.id, request.path_params["kind"]
        if kind not in _VOLUMES or not self.dataset.file(subject_id, kind).is_file():
            raise HTTPException(404)
        return FileResponse(self.dataset.file(subject_id, kind), media_type="application/gzip")

    def library(self, request: Request) -> Response:
        """NiiVue."""
        with as_file(_LIBRARY) as path:
            return FileResponse(path, media_type="text/javascript")

    async def rate(self, request: Request) -> Response:
        """Take ratings: 200 when they are on disk, else why they are not."""
        text = await _text(request)
        return await run_in_threadpool(self._take, text)

    def _take(self, text: str) -> Response:
        try:
            ratings = self.store.check(text)
        except DataError as error:
            raise HTTPException(422, str(error)) from error
        self.store.add(ratings)
        return JSONResponse({"taken": len(ratings)})

    def _shown(self) -> list[Row]:
        return [row for row in self.rows if row.page]

    def _row(self, request: Request) -> Row:
        for row in self._shown():
            if row.participant.id == request.path_params["subject"]:
                return row
        raise HTTPException(404)


def application(site: Site, token: str) -> Starlette:
    """The site below a path that only who was given the token knows."""
    return Starlette(
        routes=[Mount(f"/{token}", routes=site.routes())],
        middleware=[Middleware(Guard, token=token)],
        exception_handlers={SrregError: _trouble, OSError: _trouble},
    )


def _trouble(request: Request, error: Exception) -> Response:
    """What the disk or a file on it does not allow, told without saying where it lies."""
    return PlainTextResponse(without_folders(str(error)), 500)


async def _text(request: Request) -> str:
    """The body of a request with ratings."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "Expected application/json.")
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LARGEST_BODY:
                raise HTTPException(413, f"Expected at most {_LARGEST_BODY} bytes.")
        return body.decode()
    except UnicodeDecodeError as error:
        raise HTTPException(400, "Expected UTF-8.") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "The body was cut off.") from error


def _kept(dataset: Dataset) -> Path:
    return dataset.root / "qc" / KEPT


def _found(dataset: Dataset) -> dict[str, Examination]:
    """What the last report found on each built subject, without its pictures: those of 180 subjects fill the memory."""
    found, missing = {}, []
    for participant in dataset.participants:
        if not participant.is_published:
            continue
        examination = kept_examination(dataset, participant, _kept(dataset))
        if examination is None:
            missing.append(participant.id)
        else:
            found[participant.id] = replace(examination, strips=(), curves=())
    if missing or not dataset.participants:
        named = f" of {', '.join(missing[:3])}{' ...' if missing[3:] else ''}" if missing else ""
        raise DataError(f"{dataset.root} has no report{named} as it is built now. Make it: srreg qc report {dataset.root}")
    return found
