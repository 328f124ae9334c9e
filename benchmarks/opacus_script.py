"""A training script written for Opacus, with those lines changed that the README changes, beside the suite's own runs.

    python benchmarks/opacus_script.py --dataset digits_tuned --method dp-psasc --epsilon 3 --seeds 0 1 2 3 4 5 6 7

The script is the idea of Opacus' ``examples/mnist.py``: a small convolutional network, ``DataLoader``, ``torch.optim``,
``BatchMemoryManager``. Network, data, budget and hyper-parameters are those of a cell of the study. It prints each
accuracy on the test examples, and the mean difference to the suite's records of that cell with Welch's 95 % interval.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from pathlib import Path

import torch
from opacus.utils.batch_memory_manager import BatchMemoryManager
from scipy import stats
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from psasc_bench import data, method, models, opacus, records
from psasc_bench.memory import keep_freed_memory
from psasc_bench.study import Cell, RunSpec, load_study


def train(spec: RunSpec, dataset: data.Dataset, *, physical_batch_size: int) -> float:
    """Accuracy on the test examples, in per cent."""
    torch.manual_seed(spec.seed)
    model = models.create(spec.model, dataset, seed=spec.seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=spec.learning_rate, momentum=spec.momentum)
    loader = DataLoader(examples(dataset, "train"), batch_size=spec.expected_batch_size, shuffle=True)
    criterion = nn.CrossEntropyLoss()

    model, optimizer, loader = opacus.make_private(
        module=model,
        optimizer=optimizer,
        data_loader=loader,
        method=method(spec.method, **dict(spec.parameters)),
        epsilon=spec.epsilon,
        delta=spec.delta,
        epochs=spec.epochs,
        accountant=spec.accountant,
    )
    for _ in range(spec.epochs):
        with BatchMemoryManager(
            data_loader=loader, max_physical_batch_size=physical_batch_size, optimizer=optimizer
        ) as batches:
            for x, y in batches:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()

    model.eval()
    x, y = examples(dataset, "test").tensors
    with torch.no_grad():
        right = sum(
            int((model(some).argmax(1) == of).sum()) for some, of in zip(x.split(500), y.split(500), strict=True)
        )
    return 100 * right / len(y)


def examples(dataset: data.Dataset, part: str) -> TensorDataset:
    x, y = (torch.from_numpy(getattr(dataset, f"{axis}_{part}")) for axis in "xy")
    offset, scale = (torch.from_numpy(t).view(-1, *[1] * (x.dim() - 2)) for t in (dataset.offset, dataset.scale))
    return TensorDataset((x.float() - offset) / scale, y)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--runs", type=Path, default=Path("results/runs"), help="the suite's records")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--method", required=True)
    parser.add_argument("--epsilon", type=float, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Secure RNG turned off")
    keep_freed_memory()

    study = load_study(arguments.config)
    protocol, cell = study.dataset(arguments.dataset), Cell(arguments.dataset, arguments.method, arguments.epsilon)
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder, "data.npz")
        root = Path(os.environ.get("PSASC_BENCH_DATA", study.data_root))
        data.prepare(protocol.source, prepared, root=root)
        dataset = data.load(prepared)
    accuracies = []
    for seed in arguments.seeds:
        spec = study.spec(cell, seed=seed)
        accuracies.append(train(spec, dataset, physical_batch_size=protocol.micro_batch_size))
        print(f"seed {seed}: {accuracies[-1]:.2f} %", flush=True)

    of_cell = [record for record in map(records.read, records.find(arguments.runs)) if _is_of(record, cell)]
    theirs = [100 * record.result["test_accuracy"] for record in of_cell if record.status == "done"]
    interval = stats.ttest_ind(accuracies, theirs, equal_var=False).confidence_interval()
    means = [sum(values) / len(values) for values in (accuracies, theirs)]
    print(
        f"this script {means[0]:.2f} % ({len(accuracies)} seeds), the suite {means[1]:.2f} % ({len(theirs)}): "
        f"{means[0] - means[1]:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]"
    )


def _is_of(record: records.Record, cell: Cell) -> bool:
    spec = record.spec
    return Cell(spec.dataset, spec.method, spec.epsilon) == cell


if __name__ == "__main__":
    main()
