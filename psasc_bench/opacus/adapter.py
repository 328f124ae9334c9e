"""From a training script's model, optimiser and loader to private ones, in one call."""

from __future__ import annotations

import inspect
import math
from typing import Any, Literal, get_args

import torch
from opacus import PrivacyEngine
from opacus.accountants import GaussianAccountant, RDPAccountant
from opacus.distributed import DifferentiallyPrivateDistributedDataParallel
from opacus.grad_sample import AbstractGradSampleModule
from opacus.optimizers import DPOptimizer
from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from psasc_bench.evidence import require_sound_instance
from psasc_bench.methods import Adaptive, Method, PerLayer
from psasc_bench.opacus.loader import Draws, draws_of, poisson_loader
from psasc_bench.opacus.modules import EngineModule, GhostModule, HooksModule
from psasc_bench.opacus.optimizers import EngineOptimizer, GhostOptimizer, HooksOptimizer
from psasc_bench.privacy import RDP_ORDERS, Accountant, calibrate, noise_scale

Mode = Literal["psasc", "hooks", "ghost"]


def make_private(
    module: nn.Module,
    optimizer: Optimizer,
    data_loader: DataLoader[Any],
    *,
    method: Method,
    epsilon: float | None = None,
    delta: float | None = None,
    epochs: int | None = None,
    noise_multiplier: float | None = None,
    accountant: Accountant = "rdp",
    grad_sample_mode: Mode = "psasc",
    criterion: nn.Module | None = None,
    loss_reduction: Literal["mean", "sum"] = "mean",
    noise_generator: torch.Generator | None = None,
    privacy_engine: PrivacyEngine | None = None,
) -> tuple[Any, ...]:
    """As Opacus' ``PrivacyEngine.make_private`` and, with ``epsilon``, its ``make_private_with_epsilon``, with the
    weights of ``method`` in the place of clipping: ``(module, optimizer, data_loader)``, each for the one given, to be
    used as before. In ghost mode it is ``(module, optimizer, criterion, data_loader)``, as in Opacus.

    ``grad_sample_mode`` is how per-example gradients are had: by our engine, the default and the fastest, or by Opacus'
    ``hooks`` or ``ghost``. The loss is the mean over the batch, or its sum where ``loss_reduction`` says so.

    A step draws each example with probability ``batch_size / examples`` of the loader, adds noise of standard deviation
    ``noise_multiplier * method.sensitivity()`` to the sum and divides it by ``batch_size``; an epoch is ``len(loader)``
    steps. ``noise_multiplier`` is given, or calibrated by ``accountant`` so that ``epochs`` cost ``epsilon`` at
    ``delta``. The accountant of ``privacy_engine``, which is found again as ``optimizer.privacy_engine``, counts each
    step; it saves and loads checkpoints, which also have the generators of noise and batches. Those are seeded from
    torch's own, but for ``noise_generator`` and the loader's ``generator``; in Opacus' secure mode both are its.

    The method is put through the battery first, once in the life of a process; that takes some seconds. Raises
    ``ValueError`` for a method that fails, that has no bound, or that is no function of an example's norm alone
    (adaptive, per layer, with inner momentum: ``psasc_bench.PrivateGradient`` has those); for a budget that is
    incomplete or out of reach, and an accountant that gives no bound; for an optimiser with other parameters than the
    module's, or that needs a closure, and for a loader that Poisson sampling cannot replace. ``TypeError`` for what is
    no method, and a module that mixes the examples of a batch.
    """
    _check_words(grad_sample_mode=grad_sample_mode, accountant=accountant, loss_reduction=loss_reduction)
    _check_method(method)
    draws = draws_of(data_loader)
    engine = privacy_engine or _new_engine(accountant)
    if isinstance(engine.accountant, GaussianAccountant):
        raise ValueError(
            "privacy_engine: its accountant, gdp, gives no upper bound of epsilon; take PrivacyEngine(accountant='rdp')"
        )
    multiplier = _noise_multiplier(
        draws, engine, epsilon=epsilon, delta=delta, epochs=epochs, given=noise_multiplier, accountant=accountant
    )
    noise_scale(sensitivity=method.sensitivity(), noise_multiplier=multiplier)  # or refuse
    _check_parameters(module, optimizer)
    if grad_sample_mode == "ghost" and criterion is None:
        raise ValueError("criterion: ghost mode goes through it twice; give it, as criterion=CrossEntropyLoss()")
    require_sound_instance(method)

    device = next(module.parameters()).device
    if engine.secure_mode:
        noise = coins = engine.secure_rng
    else:
        noise, coins = noise_generator or _seeded(device), data_loader.generator or _seeded("cpu")
    how = {
        "optimizer": optimizer,
        "method": method,
        "noise_multiplier": multiplier,
        "expected_batch_size": draws.expected_batch_size,
        "loss_reduction": loss_reduction,
        "generator": noise,
        "secure_mode": engine.secure_mode,
        "generators": {} if engine.secure_mode else {"noise": noise, "batches": coins},
    }
    wrapped: Any
    if grad_sample_mode == "psasc":
        wrapped = EngineModule(module, loss_reduction=loss_reduction)
    else:
        engine.validate(module=module, optimizer=optimizer, data_loader=data_loader)
        kind = {"hooks": HooksModule, "ghost": GhostModule}[grad_sample_mode]
        wrapped = kind(module, batch_first=True, loss_reduction=loss_reduction)
        wrapped.forbid_grad_accumulation()
    of_mode = {"psasc": EngineOptimizer, "hooks": HooksOptimizer, "ghost": GhostOptimizer}[grad_sample_mode]
    private: Any = of_mode(module=wrapped, **how)
    private.attach_step_hook(engine.accountant.get_optimizer_hook_fn(sample_rate=draws.rate))
    private.privacy_engine = engine
    loader = poisson_loader(data_loader, draws, coins, private.drop_batch)
    if grad_sample_mode == "ghost":
        return wrapped, private, DPLossFastGradientClipping(wrapped, private, criterion, loss_reduction), loader
    return wrapped, private, loader


class _RDPAccountant(RDPAccountant):
    """Opacus' with the orders that our noise is calibrated with: its own end at 63, too few for a small epsilon."""

    DEFAULT_ALPHAS = RDP_ORDERS


def _new_engine(accountant: Accountant) -> PrivacyEngine:
    engine = PrivacyEngine(accountant={"rdp": "rdp", "pld": "prv"}[accountant])
    if accountant == "rdp":
        engine.accountant = _RDPAccountant()
    return engine


def _check_words(**given: str) -> None:
    known = {"grad_sample_mode": get_args(Mode), "accountant": get_args(Accountant), "loss_reduction": ("mean", "sum")}
    for name, word in given.items():
        if word not in known[name]:
            raise ValueError(f"{name}: must be one of {', '.join(known[name])}, got {word!r}")


def _check_method(method: Method) -> None:
    if not isinstance(method, Method):
        raise TypeError(
            f"method: must be one with its settings, as psasc_bench.method('dp-sgd', C=1.0); got {method!r}"
        )
    kinds = {
        "moves its settings with what is released": isinstance(method, Adaptive),
        "weighs layers apart": isinstance(method, PerLayer),
        "averages gradients over iterates": method.iterates > 1,
        "has no bound that noise could be calibrated against": not math.isfinite(method.sensitivity()),
    }
    if why := next((kind for kind, is_so in kinds.items() if is_so), None):
        raise ValueError(
            f"method: {method.title} {why}, which has no place in Opacus' step; take psasc_bench.PrivateGradient"
        )


def _check_parameters(module: nn.Module, optimizer: Optimizer) -> None:
    if isinstance(module, AbstractGradSampleModule) or isinstance(optimizer, DPOptimizer):
        raise ValueError("module, optimizer: are private already; give those that they were made of")
    if isinstance(module, DistributedDataParallel | DifferentiallyPrivateDistributedDataParallel | FSDPModule):
        raise ValueError("module: is distributed over processes, which is not supported here; give the plain module")
    step = inspect.signature(optimizer.step).parameters.get("closure")
    if step and step.default is inspect.Parameter.empty:
        raise ValueError(
            f"optimizer: {type(optimizer).__name__} computes the loss several times in a step, each a release of its "
            "own; take one that computes it once, such as SGD or Adam"
        )
    of_optimizer = {p for group in optimizer.param_groups for p in group["params"] if p.requires_grad}
    of_module = {p for p in module.parameters() if p.requires_grad}
    if of_optimizer != of_module:
        raise ValueError(
            f"optimizer: {len(of_module - of_optimizer)} trainable parameters of the module are not its, and "
            f"{len(of_optimizer - of_module)} of its are not the module's; freeze what is not to be trained"
        )


def _noise_multiplier(
    draws: Draws,
    engine: PrivacyEngine,
    *,
    epsilon: float | None,
    delta: float | None,
    epochs: int | None,
    given: float | None,
    accountant: Accountant,
) -> float:
    if given is not None and epsilon is None:
        return given
    if given is not None or epsilon is None or delta is None or epochs is None:
        raise ValueError("budget: give either noise_multiplier, or epsilon with delta and epochs")
    if len(engine.accountant):
        raise ValueError(
            "privacy_engine: its accountant has steps on its books, on top of which the epsilon asked for would come; "
            "give a new one, or a noise_multiplier"
        )
    steps = epochs * draws.steps
    budget = calibrate(epsilon=epsilon, delta=delta, sampling_rate=draws.rate, steps=steps, accountant=accountant)
    return budget.noise_multiplier


def _seeded(device: torch.device | str) -> torch.Generator:
    """By torch's own generator, so that ``torch.manual_seed`` repeats a script."""
    return torch.Generator(device).manual_seed(int(torch.randint(2**63 - 1, ())))
