from dataclasses import dataclass

from psasc_bench.methods.dp_psasc import DPPSASC


@dataclass(frozen=True, kw_only=True)
class DPPSASCInner(DPPSASC):
    """``w(x) = C/(s x + r/(x + r))``: DP-PSASC on inner momentum. The supremum of ``x w(x)`` is ``C/s``, as without it.

    Our reading of the momentum of Huang et al., 2024, arXiv 2411.03059: each example's gradient is averaged over the
    last ``iterates`` released parameters before it is weighted, as in Xiao et al., IEEE S&P 2023, and arXiv 2511.08841.
    """

    title = "DP-PSASC inner"

    iterates: int = 2
