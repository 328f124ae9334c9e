"""The private gradient of a model of somebody's own, for whatever optimiser they have."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from psasc_bench import methods
from psasc_bench.engine import gather, parts
from psasc_bench.evidence import require_sound_instance
from psasc_bench.library.examples import PerExample
from psasc_bench.library.ledger import Ledger, spent
from psasc_bench.methods import Method
from psasc_bench.privacy import noise_scale, unpredictable_generator
from psasc_bench.training import GradientSum, Released, advanced, averaging, release, shares


class PrivateGradient:
    """Writes, step by step, into ``p.grad`` of each trainable parameter of ``model``

        (sum_i w(||v_i||) v_i + N(0, (noise_multiplier * sensitivity)^2 I)) / expected_batch_size,

    ``v_i`` being example i's gradient at the parameters as they stand, ``w`` and ``sensitivity`` the ``method``'s::

        for batch in poisson_batches(examples, sampling_rate, steps):
            for part in batch.split(256):
                private.add(F.cross_entropy(model(x[part]), y[part], reduction="none"))
            private.release()
            optimiser.step()

    Any ``torch.optim`` optimiser may take the step: what it does with a release costs no privacy. That a batch has
    been drawn with the rate accounted for, each example by itself, is for the caller to see to. The model is left as it
    is: its parameters stay where they are, frozen ones have no part in it.

    With inner momentum (``method.iterates`` k > 1), ``v_i`` is the example's gradient averaged over the last k points
    where there was a release, and ``add`` has to be given a function, which it runs at each. Settings of an adaptive
    method move with its statistic, which is released beside the gradient at the same joint cost.

    ``noise_multiplier`` is what ``calibrate`` finds for a budget, 0 for no privacy. ``expected_batch_size`` is public,
    sampling rate times number of examples; batches have it on average. ``generator``, on the parameters' device, makes
    the noise repeatable, and must then be kept as secret as the data: without one, a new one is seeded by the operating
    system. Examples lie along ``batch_dim`` of what the model is given.

    The method is put through the battery of checks at its settings first, once in the life of a process, which takes
    about five seconds. Raises ``ValueError`` for one that fails, for a noise multiplier or batch size that makes no
    sense, and for trainable parameters of several types or devices; ``TypeError`` for a model that mixes the examples
    of a batch.
    """

    def __init__(
        self,
        model: nn.Module,
        method: Method,
        *,
        noise_multiplier: float,
        expected_batch_size: float,
        batch_dim: int = 0,
        generator: torch.Generator | None = None,
    ) -> None:
        if not isinstance(method, Method):
            raise TypeError(f"method: must be a method with its settings, as method('dp-sgd', C=1.0), got {method!r}")
        for name, value in {"noise_multiplier": noise_multiplier, "expected_batch_size": expected_batch_size}.items():
            if not (isinstance(value, int | float) and 0 <= value < math.inf):
                raise ValueError(f"{name} must be a finite number, 0 or above, got {value!r}")
        if not expected_batch_size:
            raise ValueError("expected_batch_size must be above 0, got 0")
        require_sound_instance(method)
        noise_scale(sensitivity=method.sensitivity(), noise_multiplier=noise_multiplier)  # or refuse
        shares(method, noise_multiplier=noise_multiplier, expected_batch_size=expected_batch_size)  # likewise
        self._model, self._method, self._steps = model, method, 0
        self._noise_multiplier, self._expected_batch_size = noise_multiplier, expected_batch_size
        self._batch_dim = batch_dim
        self._examples = PerExample(model, batch_dim=batch_dim)
        self._parameters = self._examples.parameters
        device = self._parameters[0].device
        self._noise = generator or unpredictable_generator(device)
        if self._noise.device.type != device.type:
            raise ValueError(f"the generator is on {self._noise.device}, the parameters are on {device}")
        self._earlier = deque[list[Tensor]](maxlen=int(method.iterates) - 1)  # where there were releases, oldest first
        self._total: Tensor | None = None
        self._of_examples: list[tuple[Tensor, Tensor, Tensor]] = []  # norms, losses and who was zeroed
        self._last: GradientSum | None = None

    @property
    def method(self) -> Method:
        """The method with the settings of the next release."""
        return self._method

    @property
    def steps(self) -> int:
        """How many releases there have been: each has been paid for."""
        return self._steps

    @property
    def nonprivate(self) -> GradientSum | None:
        """Of the batch of the last release, its sum without noise, and norms and losses of its examples. Not private:
        for a look while a script is written, on data that are no secret."""
        return self._last

    def add(self, losses: Tensor | Callable[[], Tensor]) -> None:
        """Add the examples of a micro-batch to the sum: their ``losses [B]``, of the forward pass just run, or a
        function that runs it. An empty micro-batch adds nothing; an example whose gradient is not finite contributes
        exactly zero.

        Raises ``ValueError`` for losses of another form or number, a tensor where inner momentum needs a function, and
        more examples since the last release than a Poisson batch has; ``TypeError`` if the loss of one example depends
        on others; ``RuntimeError`` if the pass was run in evaluation mode, or has been added before. Nothing of the
        micro-batch is then in the sum.
        """
        points: list[list[Tensor] | None] = [*self._earlier, None]
        if not callable(losses) and self._method.iterates > 1:
            raise ValueError(
                f"{self._method.title} averages each example's gradient over {self._method.iterates} iterates: give "
                "add() a function that runs the forward pass, as in add(lambda: losses(model, batch))"
            )
        counts = []
        try:
            if callable(losses):
                self._examples.forget()
            for point, coefficient in zip(points, averaging(len(points), self._method.decay), strict=True):
                with self._moved_to(point) if callable(losses) else nullcontext():
                    each = losses() if callable(losses) else losses
                    self._examples.record(each, coefficient=coefficient)
                counts.append(len(each))
            if len(set(counts)) > 1:
                raise ValueError(f"the function given to add() gave {counts} losses: they must be of the same examples")
            self._check_released(len(each))
            if not len(each):
                return
            found = self._examples.weighted_sum(self._method)
        except BaseException:  # an interrupted cell of a notebook, too: half of a micro-batch must not stay booked
            self._examples = PerExample(self._model, batch_dim=self._batch_dim)
            raise
        total = gather(self._parameters, found.sums)
        self._total = total if self._total is None else self._total.add_(total)
        self._of_examples.append((found.norms, each.detach(), found.zeroed))

    @torch.no_grad()
    def release(self) -> Released:
        """End the step: write the sum of what was added, with noise, into ``p.grad``, and give what was released. A
        batch to which nothing was added is empty: noise alone, and as much of a step as any other."""
        found = self._sum()
        released = release(
            found,
            self._method,
            noise_multiplier=self._noise_multiplier,
            expected_batch_size=self._expected_batch_size,
            generator=self._noise,
            statistic_generator=self._noise,
        )
        self._steps += 1
        for parameter, part in zip(self._parameters, parts(self._parameters, released.gradient), strict=True):
            parameter.grad = torch.empty_like(parameter).copy_(part)
        if self._earlier.maxlen:
            self._earlier.append([parameter.detach().clone() for parameter in self._parameters])
        self._method = advanced(self._method, released)
        self._total, self._of_examples, self._last = None, [], found
        self._examples.forget()
        return released

    def ledger(self, *, sampling_rate: float, delta: float) -> Ledger:
        """What the releases so far have cost, if each batch was drawn at ``sampling_rate``. Raises as ``spent``."""
        return spent(
            noise_multiplier=self._noise_multiplier, sampling_rate=sampling_rate, steps=self._steps, delta=delta
        )

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs beside model and optimiser to end with the same bits. It holds the state of the
        noise, a secret unless the run is over. Raises ``RuntimeError`` in the middle of a step."""
        if self._total is not None:
            raise RuntimeError(
                "state_dict() in the middle of a step: release() first, for a sum without noise is a secret"
            )
        return {
            "made_with": self._made_with(),
            "steps": self._steps,
            "method": methods.state_of(self._method),
            "noise": self._noise.get_state(),
            "iterates": [list(point) for point in self._earlier],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of ``state_dict``. Raises ``ValueError`` unless method, noise multiplier, expected batch size and
        the shapes of the parameters are the same: the ledger would be of other steps than were taken."""
        for key, ours in self._made_with().items():
            if (theirs := state["made_with"].get(key)) != ours:
                raise ValueError(f"the state is of a run with another {key}: {theirs}, and not {ours}")
        self._steps = state["steps"]
        self._method = replace(self._method, **state["method"])
        self._noise.set_state(state["noise"].cpu())
        self._earlier.clear()
        self._earlier.extend(
            [tensor.to(parameter) for tensor, parameter in zip(point, self._parameters, strict=True)]
            for point in state["iterates"]
        )
        self._total, self._of_examples, self._last = None, [], None

    def __reduce__(self) -> NoReturn:
        raise TypeError("a PrivateGradient cannot be copied, for its copy would draw the same noise; keep state_dict()")

    def _made_with(self) -> dict[str, Any]:
        moving = methods.state_of(self._method)
        settings = {name: value for name, value in asdict(self._method).items() if name not in moving}
        return {
            "method": f"{type(self._method).__name__} {settings}",
            "noise_multiplier": self._noise_multiplier,
            "expected_batch_size": self._expected_batch_size,
            "shapes": [list(parameter.shape) for parameter in self._parameters],
        }

    def _check_released(self, more: int) -> None:
        added = more + sum(len(norms) for norms, _, _ in self._of_examples)
        expected = self._expected_batch_size
        if added > expected + 10 * math.sqrt(expected) + 20:  # ten standard deviations, and what small batches need
            raise ValueError(
                f"{added} examples have been added since the last release, where {expected:g} are expected: call "
                "release() once for each batch"
            )

    def _sum(self) -> GradientSum:
        """That of the batch."""
        if self._total is None:
            nothing = self._parameters[0].detach().new_zeros(0)
            total = nothing.new_zeros(sum(parameter.numel() for parameter in self._parameters))
            return GradientSum(total, nothing, nothing, nothing.bool())
        return GradientSum(self._total, *map(torch.cat, zip(*self._of_examples, strict=True)))

    @contextmanager
    def _moved_to(self, point: list[Tensor] | None) -> Iterator[None]:
        """The model at an earlier point while this lasts; None is where it stands."""
        here = [parameter.data for parameter in self._parameters]
        try:
            for parameter, data in zip(self._parameters, point or here, strict=True):
                parameter.data = data
            yield
        finally:
            for parameter, data in zip(self._parameters, here, strict=True):
                parameter.data = data
