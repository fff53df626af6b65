"""`bench run`: train what has no weights, register every test pair, score; goes on where it was stopped."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmark import record
from benchmark.hold import held
from benchmark.method import METHODS, CannotTrain, Factory, MethodContext
from benchmark.planning.plan import Plan, plan, short_digest
from benchmark.record import Entry, Failure
from benchmark.run_settings import Progress, RunReport, RunSettings
from benchmark.scoring import Contestant, ScoreBook
from srreg.dataset import Dataset
from srreg.errors import BackendUnavailable, FolderBusy, NoRoom, SrregError
from srreg.registry import Registry
from srreg.subject import Pair

log = logging.getLogger(__name__)


def run(
    dataset: Dataset,
    out: Path,
    settings: RunSettings,
    progress: Progress | None = None,
    methods: Registry[Factory] = METHODS,
) -> RunReport:
    """Register and score what is not there yet; one pair's failure does not stop the others.

    Args:
        dataset: what to register: the pairs of its test split.
        out: where rows, fields and weights lie.
        settings: what to run.
        progress: who is told how far it is.
        methods: the table of methods.

    Raises:
        UsageError: settings that cannot be, or a folder with numbers of another data set or device.
        BackendUnavailable: weights that are not there.
        DataError: no test pairs, or a damaged record or rows in the folder.
        FolderBusy: another run holds the folder, or another process is at a training that this one needs.
        NoRoom: the disk is full; what is there stays valid.
    """
    with held(out):
        planned = plan(dataset, out, settings, methods)
        log.info("run %s of %s on %s", planned.record.id, ", ".join(planned.record.methods), planned.record.device)
        return _Run(planned, dataset, out, settings, progress or Progress(), methods).run()


class _Run:
    def __init__(
        self,
        planned: Plan,
        dataset: Dataset,
        out: Path,
        settings: RunSettings,
        progress: Progress,
        methods: Registry[Factory],
    ) -> None:
        self.plan, self.dataset, self.out, self.settings = planned, dataset, out, settings
        self.progress, self.methods = progress, methods
        self.report = RunReport(planned.record)
        self.book = ScoreBook(dataset, out, planned.record.id, settings.device, planned.record.device)

    def run(self) -> RunReport:
        """Every method with every seed; the record is written however it ends."""
        try:
            for entry in self.plan.record.entries:
                self._contest(entry)
        finally:
            self._finish_record()
        return self.report

    def _finish_record(self) -> None:
        """Unless this run did nothing that the last one had not done."""
        this, known = self.report.record, record.read(self._record_file)
        if not known or known[-1].id == this.id or replace(known[-1], id=this.id) != this:
            record.write(self._record_file, this)

    @property
    def _record_file(self) -> Path:
        return self.out / "run.json"

    def _contest(self, entry: Entry) -> None:
        """All pairs of one method with one seed."""
        contestant = self._ready(entry)
        if contestant is None:
            return
        keep = self.settings.keep_fields
        todo = [pair for pair in self.plan.pairs if self.book.is_to_do(contestant, pair, keep)]
        if todo:
            record.write(self._record_file, self.report.record)  # no row without the record of its run
        if not self._is_prepared(contestant, todo):
            return
        total = len(self.plan.pairs)
        done = total - len(todo)
        self.progress.tell(entry.method, done, total)
        for pair in todo:
            self._score(contestant, pair)
            done += 1
            self.progress.tell(entry.method, done, total)

    def _ready(self, entry: Entry) -> Contestant | None:
        """The method with its weights, trained where it has none; None where it cannot run."""
        try:
            contestant = self._contestant(entry)
            missing = contestant.method.check()
        except (BackendUnavailable, CannotTrain) as error:
            self._skip(entry.method, str(error))
        except (FolderBusy, NoRoom):
            raise
        except Exception as error:  # whatever a method's library raises costs this method only
            self._fail(entry.method, "", error)
        else:
            if not missing:
                return contestant
            self._skip(entry.method, "; ".join(missing))
        return None

    def _contestant(self, entry: Entry) -> Contestant:
        weights = self.plan.weights.get(entry.method)
        if entry.weights is None:
            weights = self._train(entry)
            trained = replace(entry, weights=short_digest(weights))
            known = self.report.record
            self.report.record = replace(known, entries=tuple(trained if e == entry else e for e in known.entries))
            entry = trained
        method = self.methods.load(entry.method)(MethodContext(weights, self.dataset.grid))
        return Contestant(method, entry.seed, entry.weights or "")

    def _train(self, entry: Entry) -> Path:
        """The weights; where the network seems not to have learned, its numbers are made and the run has a failure."""
        from benchmark.training import trainer
        from benchmark.training.record import alarm_of

        log.info("%s: training with seed %d, unless its weights are there", entry.method, entry.seed)
        weights = trainer.train(
            entry.method,
            self.dataset,
            self.out,
            self.settings.profile,
            seed=entry.seed,
            device=self.settings.device,
            precision=self.settings.precision,
            epochs=self.settings.epochs,
            gradient_surgery=self.settings.gradient_surgery,
            progress=self.progress.training,
        )
        if alarm := alarm_of(weights):
            self._fail(entry.method, "", SrregError(f"training with seed {entry.seed}: {alarm}"))
        return weights

    def _is_prepared(self, contestant: Contestant, todo: Sequence[Pair]) -> bool:
        """Prepare the method if a pair has no field; False where that failed."""
        if all(self.book.has_field(contestant, pair) for pair in todo):
            return True
        try:
            contestant.method.prepare(self.settings.device)
        except Exception as error:  # whatever a method's library raises costs this method only
            self._fail(contestant.method.name, "", error)
            return False
        return True

    def _score(self, contestant: Contestant, pair: Pair) -> None:
        keep = self.settings.keep_fields or pair in self.plan.paper
        try:
            self.book.score(contestant, pair, keep)
        except NoRoom:
            raise
        except Exception as error:  # whatever a method's library raises costs this pair only
            self._fail(contestant.method.name, pair.id, error)
        else:
            name = contestant.method.name
            self.report.scored[name] = self.report.scored.get(name, 0) + 1

    def _skip(self, name: str, reason: str) -> None:
        log.info("%s: skipped: %s", name, reason)  # the command says it when all is done
        known = self.report.record
        self.report.record = replace(known, skipped={**known.skipped, name: reason})

    def _fail(self, name: str, pair: str, error: Exception) -> None:
        log.info("%s: failed: %s", f"{name} {pair}".rstrip(), error, exc_info=error)  # the command says it when all is done
        failure = Failure(name, pair, str(error) or type(error).__name__)
        known = self.report.record
        self.report.record = replace(known, failed=(*known.failed, failure))
