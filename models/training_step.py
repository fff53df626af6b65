"""One step of a training: losses, gradients, and whether to take it; on accelerate."""

import logging

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from models.gradient_surgery import joined
from models.network import Registration
from models.training_loss import Losses, Terms, hard_dice, losses
from models.training_settings import Batch, Precision, TrainingSettings
from models.training_state import State

log = logging.getLogger(__name__)


class Stepper:
    """Network, optimiser and device of one training.

    Args:
        network: gives a `Registration`.
        settings: how to train.
        device: "cpu", "cuda" or "cuda:N".

    Attributes:
        accelerator: knows the device and the other processes.
        state: what must be saved to go on from here.
    """

    def __init__(self, network: nn.Module, settings: TrainingSettings, device: str) -> None:
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]  # convolutions are faster so
        betas = (0.9, settings.second_moment_decay)
        # Several weights at once is four times as fast on a CPU. `fused` is faster still, but takes weights and moments to
        # lie in one memory layout without a look, which moments read from a file do not.
        optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, betas=betas, foreach=True)
        self.settings, self.accelerator = settings, _accelerator(settings.precision, device)
        self._network, self._optimiser = self.accelerator.prepare(network, optimiser)
        self.state = State(network, self._optimiser, self.accelerator.scaler)
        self._skipped: list[str] = []  # batches in a row

    def step(self, number: int, batch: Batch, done: float) -> Tensor | None:
        """Take one step: its loss terms, as in `Terms`; None if it was skipped for not being finite.

        Args:
            number: of the batch.
            batch: on any device.
            done: part of the training before it, from 0 to 1.

        Raises:
            FloatingPointError: too many steps in a row were skipped.
        """
        # 32 bits, since a CPU generator takes no more. Seeded at every step, its state need not be saved.
        torch.manual_seed(int(np.random.SeedSequence([self.settings.seed, number]).generate_state(1)[0]))
        for group in self._optimiser.param_groups:
            group["lr"] = self.settings.learning_rate_at(done)
        self._network.train()
        with self.accelerator.no_sync(self._network):  # `_gradients` takes the mean over processes
            found = self._losses(batch)
            self._set_gradients(found)
        self.accelerator.unscale_gradients(self._optimiser)
        norm = torch.nn.utils.get_total_norm([p.grad for p in self._network.parameters() if p.grad is not None])
        is_good = self._is_finite(found.total, norm)
        if is_good:
            self._shorten(norm)
            self._optimiser.step()
        elif self.accelerator.scaler is not None:
            self.accelerator.scaler.update()  # to a lower scale, where it was the gradient that overflowed
        self._count(is_good, f"{number} ({batch.name})" if batch.name else str(number), found.total)
        return found.terms if is_good else None

    @torch.no_grad()
    def validate(self, batch: Batch) -> Tensor:
        """The loss terms of a pair that is not trained on; their Dice is the hard one, which tables show."""
        self._network.eval()
        batch = batch.to(self.accelerator.device)
        out: Registration = self._network(batch.moving, batch.fixed)
        found = losses(out, batch, self.settings).terms
        hard = hard_dice(out.displacement, batch, self.settings.labels)
        found[Terms._fields.index("dice")] = torch.where(torch.isfinite(found[0]), hard, torch.nan)  # else there is no field
        return found

    def mean(self, terms: list[Tensor]) -> Terms:
        """Means over steps and processes; nan where there was none."""
        nothing = torch.full((len(Terms._fields),), torch.nan, device=self.accelerator.device)
        total = torch.stack(terms).mean(dim=0) if terms else nothing
        return Terms(*self.accelerator.reduce(total, "mean").tolist())

    def _losses(self, batch: Batch) -> Losses:
        """In float32: accelerate's mixed precision ends with the network, where the authors' spans the losses, too."""
        batch = batch.to(self.accelerator.device)
        out: Registration = self._network(batch.moving, batch.fixed, embed=self.settings.contrastive_weight > 0)
        return losses(out, batch, self.settings)

    def _set_gradients(self, found: Losses) -> None:
        if found.contrastive is not None and self.settings.gradient_surgery:
            registration = self._gradients(found.registration, retain_graph=True)
            gradients = joined(registration, self._gradients(found.contrastive))
        else:
            gradients = self._gradients(found.total)
        for parameter, gradient in zip(self._network.parameters(), gradients, strict=True):
            parameter.grad = gradient

    def _gradients(self, loss: Tensor, retain_graph: bool = False) -> list[Tensor | None]:
        """Of every parameter, the mean over processes; None where the loss does not reach it."""
        self._optimiser.zero_grad()
        self.accelerator.backward(loss, retain_graph=retain_graph)
        gradients = [parameter.grad for parameter in self._network.parameters()]
        return [None if gradient is None else self.accelerator.reduce(gradient, "mean") for gradient in gradients]

    def _shorten(self, norm: Tensor) -> None:
        """Every process has the same gradient, so that each shortens it alike."""
        if self.settings.gradient_norm_limit > 0:
            torch.nn.utils.clip_grads_with_norm_(self._network.parameters(), self.settings.gradient_norm_limit, norm)

    def _is_finite(self, loss: Tensor, norm: Tensor) -> bool:
        """True if loss and gradient are finite, in every process."""
        is_bad = (~(torch.isfinite(loss) & torch.isfinite(norm))).float()
        return not bool(self.accelerator.reduce(is_bad, "sum") > 0)

    def _count(self, is_good: bool, batch: str, loss: Tensor) -> None:
        if is_good:
            self._skipped = []
            return
        self._skipped.append(batch)
        what = "gradient" if torch.isfinite(loss) else "loss"
        scaler = self.accelerator.scaler
        scaled = f"; fp16's loss scale is {scaler.get_scale():g} now" if scaler is not None else ""
        log.warning("batch %s: the %s is not finite, step skipped%s", batch, what, scaled)
        if len(self._skipped) >= self.settings.most_skipped_in_a_row:
            raise FloatingPointError(
                f"{len(self._skipped)} steps in a row had no finite loss and gradient, those of the batches "
                f"{', '.join(self._skipped)}; train in fp32 or with a lower learning rate, and look at the images. "
                "What the last whole epoch left is kept"
            )


def _accelerator(precision: Precision, device: str) -> Accelerator:
    if ":" in device:
        torch.cuda.set_device(device)
    # accelerate keeps a process's first precision and device for ever; here one process trains several networks.
    AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())
    return Accelerator(cpu=device == "cpu", mixed_precision="no" if precision == "fp32" else precision)
