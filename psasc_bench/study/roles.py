"""Which of a study's methods the claims are about, and what each is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psasc_bench.study.settings import ClaimsConfig, ConfigError

# Where a study does not say otherwise, and as far as it has them.
METHOD, REFERENCE, EARLIER = "dp-psasc", "dp-sgd", ("auto-s", "nsgd", "dp-psac")


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Names of methods of a study. ``method``: the one under test; ``momentum``: its variant with inner momentum;
    ``reference``: what all are compared with; ``earlier``: what the one under test is said to improve on. None or empty
    where the study has no such method."""

    method: str | None = None
    momentum: str | None = None
    reference: str | None = None
    earlier: tuple[str, ...] = ()


def default_roles_of(methods: Sequence[str]) -> Roles:
    """The roles of ``methods``, which are no controls, where nothing is said of them."""
    return find_roles(ClaimsConfig(), methods)


def find_roles(claims: ClaimsConfig, methods: Sequence[str]) -> Roles:
    """The roles as ``claims`` says, the others as found among ``methods``, which are no controls: DP-SGD, or else the
    first, is the reference; DP-PSASC, or else the last that is neither the reference nor known as an earlier one, is
    under test; with ``-inner`` behind its name is its variant with momentum.

    Raises ``ConfigError`` for a method that is not among them, and for one in two roles.
    """
    given = {"method": claims.method, "momentum": claims.momentum, "reference": claims.reference}
    for key, name in [*given.items(), *(("earlier", name) for name in claims.earlier or ())]:
        if name is not None and name not in methods:
            raise ConfigError(f"claims.{key}: {name} is no method to compare; there are: {', '.join(methods)}")
    free = [name for name in methods if name not in (*given.values(), *(claims.earlier or ()))]
    plain = [name for name in free if not _is_momentum(name, methods)]
    method = claims.method or next((name for name in plain if name == METHOD), None)
    others = [name for name in plain if name != method]
    reference = claims.reference or next((name for name in [REFERENCE, *others] if name in others), None)
    others = [name for name in others if name not in (reference, *EARLIER)]
    method = method or next(reversed(others), None)
    momentum = claims.momentum or next((name for name in free if method and name == f"{method}-inner"), None)
    earlier = claims.earlier
    if earlier is None:
        earlier = tuple(name for name in EARLIER if name in free and name not in (method, reference))
    taken = [name for name in (method, momentum, reference, *earlier) if name]
    if twice := sorted({name for name in taken if taken.count(name) > 1}):
        raise ConfigError(f"claims: {twice[0]} has two roles; a method has one")
    return Roles(method=method, momentum=momentum, reference=reference, earlier=earlier)


def _is_momentum(name: str, methods: Sequence[str]) -> bool:
    return name.endswith("-inner") and name.removesuffix("-inner") in methods
