"""Kills a study again and again, and compares what becomes of it with an untouched one.

    python benchmarks/torture.py --configfile config/config.yaml --cores 2 --kills 25

Training processes, Snakemake itself, or both are killed outright (SIGKILL) at random moments; then the study is started
again. At the end every run must have the record that it has in the untouched study: same metrics, bit for bit, same
curve, same ledger; and nothing half-written or left over may lie about. Exit status 1 if not.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from psasc_bench import records

ROOT = Path(__file__).parent.parent
VICTIMS = ("training process", "Snakemake", "both")


def snakemake(arguments: list[str], folder: Path, *more: str) -> psutil.Popen:
    """Started in ``folder``; checkpoints every tenth of a second, so that many a kill hits a run that has one."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "snakemake", "--directory", str(folder), *arguments, *more]
    environment = os.environ | {"PSASC_BENCH_CHECKPOINT_SECONDS": "0.1", "PYTHONPATH": str(ROOT)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with (folder / "snakemake.log").open("ab") as log:
        return psutil.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)


def trainers(folder: Path) -> list[psutil.Process]:
    """Orphans, too: they go on when Snakemake is killed, and the next one's jobs wait for them."""
    found = []
    for process in psutil.process_iter():
        try:
            if "psasc_bench train" in " ".join(process.cmdline()[1:4]) and process.cwd() == str(folder.resolve()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def strike(victim: str, study: psutil.Popen, folder: Path, dice: random.Random) -> bool:
    """Whether there was anything to kill."""
    struck = []
    if victim != "Snakemake" and (running := trainers(folder)):
        struck.append(dice.choice(running))
    if victim != "training process":
        struck.append(study)
    for process in struck:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            return False
    return bool(struck)


def torture(arguments: list[str], folder: Path, *, kills: int, pause: float, dice: random.Random) -> Counter[str]:
    """Run the study in ``folder``, killing it ``kills`` times at moments up to ``pause`` seconds apart, or as often as
    it takes the study to end. Returns how often what was killed."""
    struck: Counter[str] = Counter()
    while True:
        study = snakemake(arguments, folder)
        while study.poll() is None and struck.total() < kills:
            time.sleep(dice.uniform(0, pause))
            victim = dice.choice(VICTIMS)
            struck[victim] += study.poll() is None and strike(victim, study, folder, dice)
        if study.wait() == 0:
            return struck
        assert snakemake(arguments, folder, "--unlock").wait() == 0


def differences(whole: Path, broken: Path) -> list[str]:
    """What is not in ``broken`` as it is in ``whole``."""
    expected, found = ({p.relative_to(f): p for p in (f / "results/runs").rglob("*.json")} for f in (whole, broken))
    problems = [f"{name}: in one study only" for name in expected.keys() ^ found.keys()]
    for name in expected.keys() & found.keys():
        one, two = records.read(expected[name]), records.read(found[name])
        for key in ("spec", "fingerprint", "status", "reason", "result", "ledger", "nonprivate", "predictions"):
            if getattr(one, key) != getattr(two, key):
                problems.append(f"{name}: another {key}")
        if expected[name].with_suffix(".csv").read_bytes() != found[name].with_suffix(".csv").read_bytes():
            problems.append(f"{name}: another curve")
    remains = [p for p in (broken / "results").rglob("*") if p.is_file() and "spool" in p.parts]
    return problems + [f"{path}: left over" for path in [*remains, *broken.rglob("*.partial")]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configfile", default="config/config.yaml", help="(%(default)s)")
    parser.add_argument("--cores", type=int, default=2, help="(%(default)s)")
    parser.add_argument("--kills", type=int, default=25, help="at least (%(default)s)")
    parser.add_argument("--pause", type=float, default=8.0, help="longest time between two, in seconds (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    options = parser.parse_args()
    arguments = ["--cores", str(options.cores), "--configfile", options.configfile, "--quiet", "all"]
    arguments = ["results/ledger.csv", *arguments]
    dice, struck, studies, problems = random.Random(options.seed), Counter[str](), 0, []
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "whole"
        assert snakemake(arguments, whole).wait() == 0, (whole / "snakemake.log").read_text()[-2000:]
        resumed = total = 0
        while struck.total() < options.kills:  # a study may be over before it was killed often enough
            broken = Path(scratch) / f"broken-{studies}"
            studies += 1
            kills = options.kills - struck.total()
            struck += torture(arguments, broken, kills=kills, pause=options.pause, dice=dice)
            records = [records.read(path) for path in (broken / "results/runs").rglob("*.json")]
            total += len(records)
            resumed += sum(bool(one.provenance["resumed_at_steps"]) for one in records)
            problems += differences(whole, broken)
    print(f"killed {struck.total()} times: " + ", ".join(f"{count} {victim}" for victim, count in struck.items()))
    print(f"{total} records in {studies} studies, {resumed} of them resumed from a checkpoint")
    print("\n".join(problems) or "all as in the untouched study")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
