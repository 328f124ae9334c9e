"""The write-up: every number is from the tables, every link leads somewhere, and each claim is decided by its runs."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from figure_tables import primary_tables
from opacus.accountants.analysis.rdp import compute_rdp, get_privacy_spent
from scipy.optimize import brentq

from psasc_bench.analysis import claims, results
from psasc_bench.analysis.statistics import detectable_difference
from psasc_bench.privacy import calibrate
from psasc_bench.report import writeup
from psasc_bench.report.formats import MINUS
from psasc_bench.study import Roles, load_study


def write_tables(project: Path, *, status: str = "done") -> pd.DataFrame:
    """Three pairs of runs on the digits, DP-PSASC ahead by .04 .01 .04, and one of another data set that is missing."""
    accuracies = {"dp-sgd": [0.50, 0.60, 0.70], "dp-psasc": [0.54, 0.61, 0.74]}
    of_digits = {"dataset": "digits", "dataset_title": "Digits", "epsilon": 3.0, "control": False, "status": status}
    rows = [
        of_digits
        | {"method": method, "method_title": method.upper(), "seed": seed}
        | {"test_accuracy": value, "seconds": 360, "seconds_diagnostics": 9}
        for method, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    rows.append(rows[0] | {"dataset": "mnist", "dataset_title": "MNIST", "status": "missing", "seconds": None})
    runs = pd.DataFrame(rows)
    summary = results.summarise(runs, "dp-sgd")
    folder = project / "results"
    folder.mkdir()
    weights = pd.DataFrame({"dataset": [], "method": [], "weight": []})
    for name, table in {"runs": runs, "summary": summary, "weights": weights, **primary_tables(runs)}.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    claims.write_claims([folder / "runs.csv", folder / "summary.csv"], folder)
    return summary.set_index(["dataset", "method"]).loc["digits"]


def rendered(project: Path) -> str:
    return writeup.render_write_up(project / "results", project / "docs" / "study.md")


def test_every_number_is_from_the_tables(tmp_path: Path) -> None:
    """The digits decide here, for these runs do not say that there are few."""
    cells = write_tables(tmp_path)
    written = rendered(tmp_path)
    mean, low, high = (100 * cells.loc["dp-psasc", f"difference_{end}"] for end in ("mean", "low", "high"))
    assert f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]".replace("-", MINUS) in written
    (line,) = (line for line in written.splitlines() if line.startswith("| Digits"))
    detectable = 100 * detectable_difference(3, cells.loc["dp-psasc", "difference_sd"])
    assert [cell.strip() for cell in line.split("|")[2:4]] == ["3", "3"]
    assert line.split("|")[-2].strip() == f"{detectable:.2f}"
    assert "Runs: Digits 6 and MNIST 0 of 1." in " ".join(written.split())
    assert written.count("**C") == len(claims.claims_about(Roles(), {}))


def test_it_links_what_is_there(tmp_path: Path) -> None:
    write_tables(tmp_path)
    links = re.findall(r"\]\(\.\./([^)]+)\)", rendered(tmp_path))
    root = Path(__file__).parents[2]
    assert links
    assert [link for link in links if not (root / link).exists()] == []


def test_study_of_no_published_data_set_says_so(tmp_path: Path) -> None:
    write_tables(tmp_path)
    assert "No published accuracy is of a cell that has been run." in rendered(tmp_path)


def test_study_that_has_not_begun_says_so(tmp_path: Path) -> None:
    write_tables(tmp_path, status="missing")
    assert "Nothing came out: no run has finished (7 missing)." in rendered(tmp_path)


def test_older_conversion_from_renyi_privacy_is_as_much_noise_as_is_said() -> None:
    """epsilon = rdp + log(1/delta)/(alpha - 1), Mironov 2017: the few numbers that stand in the text itself."""
    orders = [1 + i / 10 for i in range(1, 100)] + list(range(12, 256))
    rate, steps, delta = 2048 / 60_000, round(40 * 60_000 / 2048), 1e-5

    def rdp(noise_multiplier: float) -> Any:
        return compute_rdp(q=rate, noise_multiplier=noise_multiplier, steps=steps, orders=orders)

    def older(noise_multiplier: float) -> float:
        return min(rdp(noise_multiplier) + np.log(1 / delta) / (np.array(orders) - 1))

    noise_multiplier = brentq(lambda tried: older(tried) - 3, 1, 4)
    epsilon, _ = get_privacy_spent(orders=orders, rdp=rdp(noise_multiplier), delta=delta)
    budget = calibrate(epsilon=3, delta=delta, sampling_rate=rate, steps=steps)
    text = resources.files("psasc_bench.report").joinpath("study.md.jinja").read_text(encoding="utf-8")
    multipliers = f"{noise_multiplier:.2f} instead of {budget.noise_multiplier:.2f}"
    assert f"{multipliers}, which by our accountant is\nepsilon {epsilon:.2f}" in text
    study = load_study(Path(__file__).parents[2] / "config" / "config.yaml")
    assert study.sweeps["accountant_fashion_mnist"].epsilons == (round(epsilon, 2),)


def test_methods_that_no_claim_is_about_have_a_table_of_their_own(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    wide, shipped = root / "studies" / "wide" / "results", root / "results"
    page = writeup.render_write_up(wide, tmp_path / "study.md")
    of_others = page.partition("## The other methods")[2].partition("## Beside the literature")[0]
    assert "| DP-NAdam " in of_others
    assert "| DP-PSASC " not in of_others
    assert "The other methods" not in writeup.render_write_up(shipped, tmp_path / "study.md")
