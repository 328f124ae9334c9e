"""Several runs on one card: who goes where, planned for any number of cards, and held by locks of real processes."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from background import PATIENCE
from hypothesis import given
from hypothesis import strategies as st
from small_runs import CPU, MakeSpec, budget_for

from psasc_bench import records
from psasc_bench.data import Dataset
from psasc_bench.files import held
from psasc_bench.records import Record
from psasc_bench.training import choose_device
from psasc_bench.training.cards import SLICES, Card, Cards, choose, measured_peaks, slices
from psasc_bench.training.runner import train_run

Hold = Callable[..., "subprocess.Popen[str]"]
HOLD = """
import sys
from pathlib import Path
import torch
from psasc_bench.training.cards import Card, Cards

folder, count, peak = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
devices = [torch.device("cuda", number) for number in range(count)]
cards = Cards([Card(device, str(device.index), "simulated", 81920.0) for device in devices], folder)
with cards.share(lambda: {"simulated": peak}, lambda: print("waits", flush=True)) as share:
    print(share.device.index, share.slices, flush=True)
    sys.stdin.readline()
"""
GIB = 1024.0


def nobody_waits() -> None:
    raise AssertionError("there is room")


# ------------------------------------------------------------------------------------------------ planning


@pytest.mark.parametrize(
    ("peak_gib", "card_gib", "expected"),
    [
        (None, 80, 16),  # not measured
        (0.01, 80, 1),  # (.0125 + .5) / 5
        (3.6, 80, 1),  # 5.0 / 5
        (3.7, 80, 2),
        (20, 80, 6),  # 25.5 / 5
        (70, 80, 16),  # more than there is
        (1, 16, 2),  # 1.75 / 1
    ],
)
def test_run_needs_what_was_measured_a_quarter_more_and_what_cuda_takes(
    peak_gib: float | None, card_gib: float, expected: int
) -> None:
    assert slices(peak_gib and peak_gib * GIB, card_gib * GIB) == expected


@pytest.mark.parametrize(
    ("free", "needed", "at", "expected"),
    [
        ([16, 16], [4, 4], None, 0),
        ([12, 16], [4, 4], None, 1),
        ([12, 16], [4, 4], 0, 0),  # CUDA is there already
        ([3, 16], [4, 4], 0, 1),
        ([3, 3], [4, 4], None, None),
        ([3, 3], [4, 2], None, 1),  # a larger card
        ([], [], None, None),
    ],
)
def test_card_with_most_room_is_chosen(
    free: list[int], needed: list[int], at: int | None, expected: int | None
) -> None:
    assert choose(free, needed, at=at) == expected


@given(
    cards=st.integers(1, 8),
    runs=st.lists(st.tuples(st.integers(1, SLICES), st.booleans()), max_size=60),
)
def test_no_card_is_ever_given_out_twice_and_none_is_idle_while_a_run_waits(
    cards: int, runs: list[tuple[int, bool]]
) -> None:
    """Runs come one by one, and the oldest leaves now and then."""
    free, placed = [SLICES] * cards, list[tuple[int, int]]()
    for needed, one_leaves in runs:
        card = choose(free, [needed] * cards)
        if card is None:
            assert max(free) < needed
        else:
            placed.append((card, needed))
            free[card] -= needed
        assert min(free) >= 0
        if one_leaves and placed:
            card, given_back = placed.pop(0)
            free[card] += given_back


# ------------------------------------------------------------------------------------------------ locks


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Hold]:
    """A process that holds a share of so many cards of 80 GiB until it is told to end."""
    processes: list[subprocess.Popen[str]] = []

    def start(*, cards: int, gib: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD, str(tmp_path), str(cards), str(gib * GIB)]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate(timeout=PATIENCE)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def leave(process: subprocess.Popen[str]) -> None:
    process.communicate("\n", timeout=PATIENCE)


def test_processes_spread_over_the_cards_and_wait_for_room(hold: Hold) -> None:
    running = []
    for place in ("0 8", "1 8", "0 8"):
        running.append(hold(cards=2, gib=30))
        assert said(running[-1]) == place
    large = hold(cards=2, gib=60)
    assert said(large) == "waits"
    small = hold(cards=2, gib=1)
    assert said(small) == "waits"  # behind the large one, which it could keep from its turn for ever
    for process in running:
        leave(process)
    places = [said(large), said(small)]
    assert [place.split()[1] for place in places] == ["16", "1"]
    assert places[0][0] != places[1][0]


def test_share_ends_with_a_process_that_is_killed(hold: Hold) -> None:
    first = hold(cards=1, gib=70)
    assert said(first) == "0 16"
    second = hold(cards=1, gib=70)
    assert said(second) == "waits"
    first.kill()
    assert said(second) == "0 16"


def test_share_is_given_back_when_the_block_fails(cpu_cards: Cards) -> None:
    with pytest.raises(ValueError, match="inside"), cpu_cards.share(dict, nobody_waits):
        raise ValueError("inside")
    with cpu_cards.share(dict, nobody_waits) as share:
        assert share.whole


def test_waiting_run_sees_what_has_been_measured_meanwhile(hold: Hold, tmp_path: Path) -> None:
    first = hold(cards=1, gib=30)
    assert said(first) == "0 8"
    cards = Cards([Card(CPU, "0", "simulated", 80 * GIB)], tmp_path)
    measured: dict[str, float] = {}
    with cards.share(lambda: measured, lambda: measured.update(simulated=GIB)) as share:
        assert share.slices == 1
    leave(first)


# ------------------------------------------------------------------------------------------------ runs


@pytest.fixture
def cpu_cards(tmp_path: Path) -> Cards:
    """Two cards that are this processor, with 80 GiB each."""
    return Cards([Card(CPU, key, "cpu", 80 * GIB) for key in "ab"], tmp_path / "locks")


@pytest.fixture
def run(digits: Dataset, digits_spec: MakeSpec, cpu_cards: Cards, tmp_path: Path) -> Callable[..., Record]:
    def run(device: torch.device | Cards = cpu_cards, **changes: Any) -> Record:
        spec = digits_spec(epsilon=math.inf, **changes)
        how: dict[str, Any] = {"micro_batch_size": 320, "checkpoint_seconds": 0.0}
        return train_run(spec, digits, budget_for(spec, digits), runs=tmp_path / "runs", device=device, **how)

    return run


@contextmanager
def noted(cards: Cards, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many slices each run got."""
    found: list[int] = []
    share = Cards.share

    @contextmanager
    def noting(*arguments: Any, **how: Any) -> Iterator[Any]:
        with share(*arguments, **how) as got:
            found.append(got.slices)
            locks = [path for path in cards.folder.rglob("*.lock") if path.name != "queue.lock"]
            assert sum(map(held, locks)) == got.slices
            yield got

    with monkeypatch.context() as patch:
        patch.setattr(Cards, "share", noting)
        yield found


def test_first_run_has_a_card_to_itself_and_the_next_what_the_first_has_needed(
    run: Callable[..., Record], cpu_cards: Cards, monkeypatch: pytest.MonkeyPatch
) -> None:
    with noted(cpu_cards, monkeypatch) as got:
        run()
        run(seed=1)
        run(seed=2, method="dp-sgd", parameters={"C": 0.1})
    assert got == [16, 1, 1]


def test_peaks_are_those_of_like_runs(run: Callable[..., Record], digits_spec: MakeSpec, tmp_path: Path) -> None:
    def peaks(micro_batch_size: int = 320, **changes: Any) -> Mapping[str, float]:
        return measured_peaks(digits_spec(**changes), tmp_path / "runs", micro_batch_size=micro_batch_size)

    assert peaks() == {}
    made = [run(seed=seed) for seed in (0, 1)]
    (tmp_path / "runs" / f"{made[0].spec.name()}.json").with_stem("seed-7").write_text("no record")
    assert peaks(seed=5) == {"cpu": max(one.provenance["peak_memory_mib"] for one in made)}
    assert peaks(micro_batch_size=64) == peaks(model="mlp") == peaks(augmentations=2, augment=("flip",)) == {}


FULL = """
from dataclasses import dataclass
import torch
from psasc_bench.optimisers.base import Moment, State, Tensor, UpdateRule

LEFT = [3] * TIMES  # the steps at which memory gives out

@dataclass(frozen=True, kw_only=True)
class Full(UpdateRule):
    title = "full"

    def start(self, parameters: Tensor) -> State:
        return {}

    def update(self, gradient: Tensor, state: State, moment: Moment) -> tuple[Tensor, State]:
        if LEFT and moment.step == LEFT[-1]:
            LEFT.pop()
            raise torch.OutOfMemoryError("CUDA out of memory")
        return gradient, state
"""


def full(folder: Path, *, times: int) -> dict[str, Any]:
    """An update rule for which memory does not suffice so many times."""
    rule = folder / "full.py"
    rule.write_text(FULL.replace("TIMES", str(times)), encoding="utf-8")
    return {"optimiser": ({str(rule): {}},), "momentum": 0.0}


def test_run_out_of_memory_goes_on_with_a_larger_share_and_ends_the_same(
    run: Callable[..., Record],
    cpu_cards: Cards,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(seed=1)
    with noted(cpu_cards, monkeypatch) as got:
        made = run(**full(tmp_path, times=2))
    assert got == [1, 2, 4]
    assert made.status == "done"
    assert made.provenance["resumed_at_steps"] == [3]
    assert capsys.readouterr().err.count("its share of the card's memory was too small; waiting for a larger one") == 2
    (tmp_path / "runs" / f"{made.spec.name()}.json").unlink()
    (tmp_path / "spool" / f"{made.spec.name()}.json").unlink()
    unbroken = run(device=CPU, **full(tmp_path, times=0))
    assert (made.result, made.predictions) == (unbroken.result, unbroken.predictions)


def test_run_out_of_the_memory_of_a_whole_card_has_failed(
    run: Callable[..., Record], cpu_cards: Cards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with noted(cpu_cards, monkeypatch) as got:
        made = run(**full(tmp_path, times=1))
    assert got == [16]
    assert (made.status, made.reason) == ("failed", "OutOfMemoryError after step 3: CUDA out of memory")
    assert records.read(tmp_path / "runs" / f"{made.spec.name()}.json") == made


def test_card_that_is_named_and_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a card")
    told: list[str] = []
    for named in ("", "-1", "NoDevFiles"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
        choose_device("auto", warn=told.append)
    assert told == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    choose_device("cpu", warn=told.append)
    assert told == []
    assert choose_device("auto", warn=told.append) == CPU
    (line,) = told
    assert line.startswith("CUDA_VISIBLE_DEVICES names 0,1, but torch finds no CUDA device")
