"""The battery: what must hold of every method and of the code that trains with it, each with the figure that shows it.

The checks run the functions that training runs, on problems whose gradients are chosen to do harm. A control of
unbounded sensitivity (ordinary SGD) is only asked what makes sense without privacy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from psasc_bench import mechanism, models, sampling
from psasc_bench.canaries import Problem, diracs, networks, vectors
from psasc_bench.methods import Method
from psasc_bench.train import averaging

NOISE_MULTIPLIER = 1.5  # any will do that is not 1, which would hide a forgotten factor
EXPECTED_BATCH_SIZE = 20.0
COORDINATES = 200_000  # to estimate the noise's scale from: its standard error is then 0.16 %
DRAWS = 1000
SIGMAS = 5.0  # a sound random figure exceeds five of its standard deviations once in 1.7 million


@dataclass(frozen=True)
class Check:
    """One check's outcome: it has passed if its ``figure`` stands in ``relation`` to its ``limit``."""

    name: str
    figure: float
    relation: Literal["<=", ">="]
    limit: float
    detail: str

    @property
    def passed(self) -> bool:
        """False for a figure that is not a number."""
        return self.figure <= self.limit if self.relation == "<=" else self.figure >= self.limit

    def __str__(self) -> str:
        verdict = "ok  " if self.passed else "FAIL"
        return f"{verdict} {self.name:<32} {self.figure:<12.6g} {self.relation} {self.limit:<8g} {self.detail}"


@dataclass(frozen=True)
class _Rule:
    name: str
    measure: Callable[[Method], float]
    relation: Literal["<=", ">="]
    limit: float
    of: Literal["all", "private", "contestants", "non-private"] = "all"

    def concerns(self, method: Method) -> bool:
        private = not (method.control and math.isinf(method.sensitivity()))
        return {"all": True, "private": private, "contestants": not method.control, "non-private": not private}[self.of]


def run(method: Method) -> list[Check]:
    """Every check that concerns ``method``. A check that raises has failed, with the error as its detail."""
    return list(_checks(method))


def _checks(method: Method) -> Iterator[Check]:
    for rule in RULES:
        if not rule.concerns(method):
            continue
        figure, detail = math.nan, (rule.measure.__doc__ or "").split("\n\n")[0].replace("\n    ", " ")
        try:
            figure = rule.measure(method)
        except Exception as error:  # a method or an engine may fail in any way: each is a finding, not an accident
            detail = f"{type(error).__name__}: {error}"
        yield Check(rule.name, figure, rule.relation, rule.limit, detail)


def _norms(dtype: torch.dtype) -> Tensor:
    wide, near = (
        torch.logspace(-30, 30, 60_001, dtype=torch.float64),
        torch.logspace(-6, 6, 60_001, dtype=torch.float64),
    )
    return torch.cat([torch.zeros(1), wide, near]).to(dtype)


def _contributions(method: Method, dtype: torch.dtype) -> float:
    """``max_x x w(x) / sensitivity()``, infinite if that is not a number."""
    norms = _norms(dtype)
    contributions = norms.double() * method.weight(norms).double().abs()
    return float((contributions / method.sensitivity()).nan_to_num(nan=math.inf).max())


def supremum(method: Method) -> float:
    """sup x w(x) / sensitivity, float32 and float64, norms 0 and 1e-30 to 1e30"""
    if not 0 < method.sensitivity() < math.inf:
        return math.inf
    return max(_contributions(method, dtype) for dtype in (torch.float32, torch.float64))


def sharpness(method: Method) -> float:
    """the same where it is smaller: less than 1 is noise for nothing"""
    return min(_contributions(method, dtype) for dtype in (torch.float32, torch.float64))


def finite_weights(method: Method) -> float:
    """weights that are NaN or infinite, at norms 0 and 1e-30 to 1e30"""
    return float(sum((~method.weight(_norms(d)).isfinite()).sum() for d in (torch.float32, torch.float64)))


def own_weights(method: Method) -> float:
    """largest relative change of an example's weight with the others in the batch, their order, or a second call"""
    norms = torch.cat([torch.zeros(1), torch.logspace(-6, 6, 12)]).double()
    weights = method.weight(norms)
    order = torch.arange(len(norms) - 1, -1, -1)
    alone = torch.cat([method.weight(norm[None]) for norm in norms])
    others = [alone, method.weight(norms[order])[order], method.weight(norms)]
    return max(_difference(weights, other) for other in others)


def _difference(one: Tensor, two: Tensor) -> float:
    """``max |one - two| / max |two|``; 0 where both are 0."""
    scale = float(two.abs().max()) if two.numel() else 0.0
    difference = float((one - two).abs().max()) if two.numel() else 0.0
    return difference / scale if scale else difference


def _hostile_vectors(method: Method, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Four ordinary gradients ``[4, 16]``, then such as might move the sum too far: huge, tiny, zero, near the
    threshold, along the ordinary ones' sum and against it."""
    ordinary = torch.randn(4, 16, dtype=torch.float64, generator=generator)
    towards = ordinary.sum(0) / ordinary.sum(0).norm()
    bound = method.sensitivity() if math.isfinite(method.sensitivity()) else 1.0
    norms = [
        1e30,
        1e19,
        1e15,
        1e3,
        1.0,
        1e-3,
        1e-12,
        1e-21,
        1e-25,
        1e-30,
        0.0,
        *(bound * f for f in (0.5, 0.999, 1.001, 2)),
    ]
    hostile = torch.tensor(norms, dtype=torch.float64)[:, None] * towards
    return torch.cat([ordinary, hostile, -hostile]).to(dtype)


def neighbours(method: Method) -> float:
    """how far one example, put in or left out, moves the sum / sensitivity; all layers, 1 and 3 iterates

    **Why inner momentum costs no privacy.** Let ``theta_1 .. theta_t`` be the iterates released so far, and condition
    on them. Step t draws a Poisson batch and sums ``w(||v_i||) v_i`` over it, where ``v_i = sum_j c_j
    grad_i(theta_{t-j})`` is *recomputed* at the last k released iterates with the public coefficients ``c_j``. Given
    the iterates, ``v_i`` is a function of example i alone (no mixing), so is its contribution, and

    * if i is not drawn its contribution is exactly 0, whatever was drawn at earlier steps: no buffer remembers it;
    * if i is drawn its contribution has norm ``||v_i|| w(||v_i||) <= sensitivity()``, as for any other vector.

    Adding or removing i therefore changes the sum by nothing with probability ``1 - q`` and by at most the sensitivity
    with probability ``q``: the step is an ordinary Poisson-subsampled Gaussian mechanism, chosen adaptively by
    what was released. Adaptive composition, which every accountant here assumes, gives the whole run. QED. The three
    premises are the three checks ``neighbours``, ``own contribution`` and, of training itself, that its iterates are
    the released parameters and nothing else. At k = 1 this is the ordinary proof.
    """
    generator, bound, worst = torch.Generator().manual_seed(1), method.sensitivity(), 0.0
    for dtype in (torch.float32, torch.float64):
        hostile = _hostile_vectors(method, dtype, generator)
        problem = vectors(hostile)
        ordinary, _ = problem.gradient_sum(method, torch.arange(4), micro_batch_size=5)
        for i in range(4, len(hostile)):
            batch = torch.tensor([0, 1, 2, 3, i])
            moved = problem.gradient_sum(method, batch, micro_batch_size=5)[0].double() - ordinary.double()
            worst = max(worst, float(moved.norm()) / bound)
    for problem, batch, iterates in _network_steps(generator):
        whole, _ = problem.gradient_sum(method, batch, micro_batch_size=8, iterates=iterates)
        for i in range(len(batch)):
            rest = torch.cat([batch[:i], batch[i + 1 :]])
            moved = whole - problem.gradient_sum(method, rest, micro_batch_size=8, iterates=iterates)[0]
            worst = max(worst, float(moved.norm()) / bound)
    return worst


def mixing(model: torch.nn.Module, inputs: Tensor) -> float:
    """How far the model's output for ``inputs[0]`` moves, relative to the outputs' size, when the other examples of the
    batch are replaced by copies of it: 0 but for rounding, or else no example has a gradient of its own."""
    with torch.no_grad():
        return _difference(model(inputs)[:1], model(inputs[:1].expand_as(inputs))[:1])


def _network_steps(
    generator: torch.Generator, *, spread: float = 9.0
) -> Iterator[tuple[Problem, Tensor, list[Tensor]]]:
    """A batch of six on every small network, with one and three iterates; the losses' scales spread over
    ``10^±spread``."""
    scales = torch.logspace(-spread, spread, 6, dtype=torch.float64)
    for problem in networks(scales, generator=generator).values():
        steps = [
            0.3 * torch.randn(problem.parameters.shape, dtype=torch.float64, generator=generator) for _ in range(2)
        ]
        iterates = [problem.parameters + steps[0], problem.parameters + steps[1], problem.parameters]
        yield problem, torch.arange(6), iterates[-1:]
        yield problem, torch.arange(6), iterates


def own_contribution(method: Method) -> float:
    """largest relative difference of an example's contribution from w(|v|) v by plain autograd, in whatever company"""
    worst = 0.0
    for problem, batch, iterates in _network_steps(torch.Generator().manual_seed(2), spread=1.0):
        whole, _ = problem.gradient_sum(method, batch, micro_batch_size=6, iterates=iterates)
        expected = []
        for i in batch:
            coefficients = averaging(len(iterates), method.decay)
            pairs = zip(coefficients, iterates, strict=True)
            v = torch.stack([c * _autograd(problem, i, iterate) for c, iterate in pairs]).sum(0)
            expected.append(method.weight(v.norm()[None]) * v)
            alone, _ = problem.gradient_sum(method, i[None], micro_batch_size=1, iterates=iterates)
            few, _ = problem.gradient_sum(method, batch[batch != i][:2], micro_batch_size=3, iterates=iterates)
            both = torch.cat([batch[batch != i][:2], i[None]])
            added = problem.gradient_sum(method, both, micro_batch_size=3, iterates=iterates)[0] - few
            worst = max(worst, _difference(alone, expected[-1]), _difference(added, expected[-1]))
        worst = max(worst, _difference(whole, torch.stack(expected).sum(0)))
    return worst


def _autograd(problem: Problem, example: Tensor, iterate: Tensor) -> Tensor:
    models.point_at(problem.model, iterate)
    problem.model.eval()  # the books are kept in training mode only
    loss = problem.losses(example[None]).sum()
    problem.model.train()
    parameters = list(problem.model.parameters())
    return models.gather(problem.model, dict(zip(parameters, torch.autograd.grad(loss, parameters), strict=True)))


def micro_batches(method: Method) -> float:
    """largest relative change of the sum with the micro-batch size (1, 4, 6, 64) and the order of the batch"""
    worst = 0.0
    for problem, batch, iterates in _network_steps(torch.Generator().manual_seed(3), spread=1.0):
        whole, _ = problem.gradient_sum(method, batch, micro_batch_size=6, iterates=iterates)
        for size in (1, 4, 64):
            for order in (batch, batch.flip(0)):
                other, _ = problem.gradient_sum(method, order, micro_batch_size=size, iterates=iterates)
                worst = max(worst, _difference(other, whole))
    return worst


def nonfinite(method: Method) -> float:
    """what NaN and infinite gradients, and padding, add to the sum, plus how many of them were miscounted"""
    good = torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    bad = torch.zeros(3, 8, dtype=torch.float64)
    bad[0, 0], bad[1, :], bad[2, 3] = math.nan, math.inf, -math.inf
    problem = vectors(torch.cat([good, bad]))
    wanted, _ = problem.gradient_sum(method, torch.arange(3), micro_batch_size=3)
    mixed, counted = problem.gradient_sum(method, torch.arange(6), micro_batch_size=6)
    nothing, all_bad = problem.gradient_sum(method, torch.arange(3, 6), micro_batch_size=4)
    empty, none = problem.gradient_sum(method, torch.arange(0), micro_batch_size=4)
    left = float(nothing.abs().max() + empty.abs().max()) + _difference(mixed, wanted)
    return left + abs(counted - 3) + abs(all_bad - 3) + abs(none)


def divisor(method: Method) -> float:
    """largest relative change of the divisor with the batch size (1 to 50): it is the public expected batch size"""
    problem, worst = diracs(torch.ones(50), parameters=60), 0.0
    for size in (1, 7, 50):
        total, _ = problem.gradient_sum(method, torch.arange(size), micro_batch_size=64)
        released = problem.release(
            method,
            torch.arange(size),
            noise_multiplier=0.0,
            expected_batch_size=EXPECTED_BATCH_SIZE,
            generator=torch.Generator().manual_seed(5),
        )
        worst = max(worst, _difference(released * EXPECTED_BATCH_SIZE, total))
    return worst


def _noises(method: Method) -> Iterator[Tensor]:
    """What was released in coordinates that no gradient touches, in units of the noise's due standard deviation, from
    an empty batch, an ordinary one, a single huge gradient, fifty tiny ones, and one that is all NaN."""
    norms = torch.cat([torch.ones(50), torch.tensor([1e15]), torch.full((50,), 1e-12), torch.full((5,), math.nan)])
    problem = diracs(norms, parameters=len(norms) + COORDINATES)
    generator = torch.Generator().manual_seed(6)
    due = NOISE_MULTIPLIER * method.sensitivity() / EXPECTED_BATCH_SIZE
    for batch in (range(0), range(50), range(50, 51), range(51, 101), range(101, 106)):
        released = problem.release(
            method,
            torch.tensor(batch, dtype=torch.int64),
            noise_multiplier=NOISE_MULTIPLIER,
            expected_batch_size=EXPECTED_BATCH_SIZE,
            generator=generator,
        )
        yield released[len(norms) :].double() / due


def noise_scale(method: Method) -> float:
    """largest relative error of the noise's standard deviation; empty, one-example, tiny, huge, all-NaN batches"""
    return max(abs(float(noise.square().mean().sqrt()) - 1) for noise in _noises(method))


def noise_shape(method: Method) -> float:
    """largest Kolmogorov-Smirnov distance of the noise from a normal distribution, in units of 1/sqrt(n)"""
    worst = 0.0
    for noise in _noises(method):
        expected = torch.special.ndtr(noise.sort().values)
        observed = torch.arange(1, len(noise) + 1, dtype=torch.float64) / len(noise)
        worst = max(worst, float((observed - expected).abs().max()) * math.sqrt(len(noise)))
    return worst


def noise_independence(method: Method) -> float:
    """largest correlation of the noise with another step's or a neighbouring coordinate's, in standard errors"""
    noises = list(_noises(method))
    pairs = [(one, two) for i, one in enumerate(noises) for two in noises[:i]]
    pairs += [(noise[1:], noise[:-1]) for noise in noises]
    return max(_correlation(one, two) * math.sqrt(len(one)) for one, two in pairs)


def _correlation(one: Tensor, two: Tensor) -> float:
    scale = float(one.norm() * two.norm())
    return abs(float(one @ two)) / scale if scale else 1.0


def noise_refused(_: Method) -> float:
    """1 if noise can be added for show, although no noise makes this private"""
    try:
        mechanism.privatise(
            torch.zeros(2),
            sensitivity=math.inf,
            noise_multiplier=1.0,
            expected_batch_size=1.0,
            generator=torch.Generator(),
        )
    except ValueError:
        return 0.0
    return 1.0


def _batches(examples: int, sampling_rate: float) -> list[Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [sampling.poisson_batch(examples, sampling_rate, generator) for _ in range(DRAWS)]


def sampling_rate(_: Method) -> float:
    """error of the share of examples drawn, in standard errors"""
    count = sum(len(batch) for batch in _batches(200, 0.1))
    return abs(count - DRAWS * 200 * 0.1) / math.sqrt(DRAWS * 200 * 0.1 * 0.9)


def sampling_spread(_: Method) -> float:
    """error of the batch sizes' variance (Poisson sampling has N q (1 - q), fixed sizes none), in standard errors"""
    sizes = torch.tensor([float(len(batch)) for batch in _batches(200, 0.1)], dtype=torch.float64)
    return abs(float(sizes.var()) / (200 * 0.1 * 0.9) - 1) / math.sqrt(2 / DRAWS)


def sampling_overlap(_: Method) -> float:
    """error of how many examples a batch shares with the next (N q^2; shuffling shares none), in standard errors"""
    batches = _batches(200, 0.1)
    shared = sum(int(torch.isin(one, two).sum()) for one, two in zip(batches[::2], batches[1::2], strict=True))
    return abs(shared - DRAWS / 2 * 200 * 0.1**2) / math.sqrt(DRAWS / 2 * 200 * 0.1**2 * (1 - 0.1**2))


def sampling_empty(_: Method) -> float:
    """error of how often a batch of 0.4 expected examples is empty, in standard errors"""
    rate = (1 - 0.02) ** 20
    empty = sum(len(batch) == 0 for batch in _batches(20, 0.02))
    return abs(empty - DRAWS * rate) / math.sqrt(DRAWS * rate * (1 - rate))


# In double precision sound sums differ by about 1e-15 of the largest contribution; 1e-9 is far from both that and any
# real difference. The sum of five float32 contributions is rounded to a few 1e-7 of the sensitivity, hence 1e-5.
RULES = (
    _Rule("supremum", supremum, "<=", 1 + 1e-6, of="private"),
    _Rule("sharpness", sharpness, ">=", 0.999, of="contestants"),
    _Rule("finite weights", finite_weights, "<=", 0),
    _Rule("own weights", own_weights, "<=", 1e-9),
    _Rule("neighbours", neighbours, "<=", 1 + 1e-5, of="private"),
    # the padding mask is float32, and with it inner momentum's coefficients
    _Rule("own contribution", own_contribution, "<=", 1e-6),
    _Rule("micro-batches", micro_batches, "<=", 1e-9),
    _Rule("non-finite gradients", nonfinite, "<=", 1e-12),
    _Rule("divisor", divisor, "<=", 1e-6),
    _Rule("noise scale", noise_scale, "<=", 0.01, of="private"),
    # the Kolmogorov distribution exceeds 2.5 once in 130,000
    _Rule("noise shape", noise_shape, "<=", 2.5, of="private"),
    _Rule("noise independence", noise_independence, "<=", SIGMAS, of="private"),
    _Rule("noise refused", noise_refused, "<=", 0, of="non-private"),
    _Rule("sampling rate", sampling_rate, "<=", SIGMAS),
    _Rule("sampling spread", sampling_spread, "<=", SIGMAS),
    _Rule("sampling overlap", sampling_overlap, "<=", SIGMAS),
    _Rule("sampling empty", sampling_empty, "<=", SIGMAS),
)
