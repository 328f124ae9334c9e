"""Which of a study's methods the claims are about, and what each is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psasc_bench.study.settings import ClaimsConfig, ConfigError

# What methods are decides where a study does not say otherwise, whatever it calls them.
METHOD, REFERENCE, EARLIER = "dp-psasc", "dp-sgd", ("auto-s", "nsgd", "dp-psac")
# Baselines that no claim is about.
BESIDE = ("adasig", "auto-v", "bounded-quantile", "dc-sgd-p", "per-layer", "quantile", "sigmoid")


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
    """The roles of ``methods``, which are no controls, where nothing is said of them but their names."""
    return find_roles(ClaimsConfig(), {name: name for name in methods})


def find_roles(claims: ClaimsConfig, methods: Mapping[str, str]) -> Roles:
    """The roles as ``claims`` says, the others as found among ``methods``: names with what each is, no controls.

    Under test is DP-PSASC, or else the last that is no known method, or else the last known one by another name. The
    reference is DP-SGD, or else the first of the others. The variant with momentum has ``-inner`` behind the name of
    the one under test, or behind that of what it is. Earlier ones are all the others of per-example scaling.

    Raises ``ConfigError`` for a method that is not among them, and for one in two roles.
    """
    given = {"method": claims.method, "momentum": claims.momentum, "reference": claims.reference}
    for key, name in [*given.items(), *(("earlier", name) for name in claims.earlier or ())]:
        if name is not None and name not in methods:
            raise ConfigError(f"claims.{key}: {name} is no method to compare; there are: {', '.join(methods)}")
    free = [name for name in methods if name not in (*given.values(), *(claims.earlier or ()))]
    plain = [name for name in free if not _is_momentum(name, methods)]
    method = claims.method or _under_test(plain, methods)
    others = [name for name in plain if name != method]
    reference = claims.reference or next(iter([*_that_are(REFERENCE, others, methods), *others]), None)
    momentum = claims.momentum
    if method and not momentum:
        variants = [f"{method}-inner", *_that_are(f"{methods[method]}-inner", free, methods)]
        momentum = next((name for name in variants if name in free), None)
    earlier = claims.earlier
    if earlier is None:
        scaling = [name for kind in EARLIER for name in _that_are(kind, plain, methods)]
        earlier = tuple(name for name in scaling if name not in (method, reference, momentum))
    taken = [name for name in (method, momentum, reference, *earlier) if name]
    if twice := sorted({name for name in taken if taken.count(name) > 1}):
        raise ConfigError(f"claims: {twice[0]} has two roles; a method has one")
    return Roles(method=method, momentum=momentum, reference=reference, earlier=earlier)


def _under_test(names: Sequence[str], methods: Mapping[str, str]) -> str | None:
    known = (REFERENCE, *EARLIER, *BESIDE)
    newcomers = [name for name in names if methods[name] not in known]
    renamed = [name for name in names if methods[name] != name and methods[name] != REFERENCE]
    return next(iter([*_that_are(METHOD, names, methods), *reversed(newcomers), *reversed(renamed)]), None)


def _that_are(kind: str, names: Sequence[str], methods: Mapping[str, str]) -> list[str]:
    """Those of the names that are this method, the one that is called like it before all others."""
    return sorted((name for name in names if methods[name] == kind), key=lambda name: name != kind)


def _is_momentum(name: str, methods: Mapping[str, str]) -> bool:
    if name.endswith("-inner") and name.removesuffix("-inner") in methods:
        return True
    return methods[name].endswith("-inner") and methods[name].removesuffix("-inner") in methods.values()
