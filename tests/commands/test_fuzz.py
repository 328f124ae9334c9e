"""Input that nobody wrote on purpose: it is refused with a line that names it, or read as what it says; never more.

The suite tries fifty inputs of each kind; with `HYPOTHESIS_PROFILE=thorough` pytest tries thousands.
"""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from psasc_bench import cli, records
from psasc_bench.privacy import Budget
from psasc_bench.records import Record
from psasc_bench.study import ConfigError, RunSpec, parse_study

ROOT = Path(__file__).parents[2]
SMOKE = yaml.safe_load((ROOT / "config" / "smoke.yaml").read_text())

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["../x", "/etc/passwd", "inf", "nan", "1e999", "\x00", "é", "digits", "dp-sgd", 2**70, -0.0, 1e-320]
    ),
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner))


def says(arguments: list[str]) -> tuple[int, str]:
    """Exit status and standard error of a command, which must not end in a traceback."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = cli.main(arguments)
    return status, said.getvalue()


def refused(arguments: list[str]) -> bool:
    status, said = says(arguments)
    assert status in (0, 2)
    assert all(line.startswith("psasc-bench: ") for line in said.splitlines())
    return status == 2


def places(tree: Any) -> list[tuple[Any, ...]]:
    """The ways to all values of a tree of mappings and lists."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [(), *((key, *place) for key, value in inner for place in places(value))]


def replaced(tree: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    copy = tree.copy()
    copy[place[0]] = replaced(tree[place[0]], place[1:], value)
    return copy


# -------------------------------------------------------------------------------------------------------- configuration


@given(st.sampled_from(places(SMOKE)), values)
def test_study_with_any_value_replaced_is_refused_or_stays_in_its_folder(place: tuple[Any, ...], value: Any) -> None:
    try:
        study = parse_study(replaced(SMOKE, place, value), source="fuzz")
    except ConfigError:
        return
    for cell in study.cells():
        for seed in study.cell_seeds(cell.dataset, cell.epsilon)[:2]:
            spec = study.spec(cell, seed)
            assert ".." not in Path(spec.name()).parts
            assert len(Path(spec.name()).parts) == 4
            assert RunSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@example(b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]")
@example(b"!!python/object/apply:os.system ['touch executed']")
@example(b"[" * 5000)
@example(b"seeds: [0]\nseeds: [1]")
def test_any_bytes_for_a_study_are_refused_with_a_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.yaml").write_bytes(content)
    assert refused(["status", "--config", str(folder / "study.yaml"), "--output", str(folder / "status.csv")])
    assert [path.name for path in folder.iterdir()] == ["study.yaml"]
    assert not Path("executed").exists()


# ---------------------------------------------------------------------------------------------------------------- data


def arrays() -> dict[str, Any]:
    images = (np.arange(20 * 64).reshape(20, 8, 8) % 251).astype(np.uint8)
    labels = np.arange(20) % 10
    return {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}


def prepare(path: Path) -> list[str]:
    return ["prepare", "--source", "npz", "--path", str(path), "--output", str(path.with_name("prepared.npz"))]


def damaged(data: st.DataObject, content: bytes) -> bytes:
    """Cut short, or with some bytes changed."""
    if data.draw(st.booleans()):
        return content[: data.draw(st.integers(0, len(content) - 1))]
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    return bytes(changed)


@given(st.data())
def test_damaged_images_are_refused_or_read_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("data") / "images.npz"
    np.savez(path, **arrays())
    path.write_bytes(damaged(data, path.read_bytes()))
    if not refused(prepare(path)):
        with np.load(path.with_name("prepared.npz")) as prepared:
            assert all(np.array_equal(prepared[name].squeeze(), array) for name, array in arrays().items())


def npz(path: Path, header: bytes, *, name: str = "x_train.npy", compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for key, array in arrays().items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            archive.writestr(f"{key}.npy", header if f"{key}.npy" == name else buffer.getvalue())


def declared(shape: tuple[int, ...]) -> bytes:
    """The beginning of an array that says it has this shape, and then ends."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


@pytest.mark.parametrize("shape", [(2**60,), (2**31, 2**31, 2**31), (2**40, 8, 8), (20, 8, 9)], ids=str)
def test_images_that_declare_more_than_they_have_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    npz(tmp_path / "images.npz", declared(shape))
    assert refused(prepare(tmp_path / "images.npz"))


def test_pickled_images_are_refused_and_not_run(tmp_path: Path) -> None:
    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "executed",))

    np.savez(tmp_path / "images.npz", **(arrays() | {"x_train": np.array([Payload()], dtype=object)}))
    assert refused(prepare(tmp_path / "images.npz"))
    (tmp_path / "images.npz").write_bytes(pickle.dumps(Payload()))
    assert refused(prepare(tmp_path / "images.npz"))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 16, struct.pack(">IIII", 2051, 2**31, 2**15, 2**15), struct.pack(">II", 9999, 1) + b"\x01"],
    ids=["empty", "zeros", "huge", "wrong magic"],
)
def test_idx_files_that_are_not_the_published_ones_are_refused(content: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{name}-ubyte").write_bytes(content)
    arguments = ["prepare", "--source", "mnist", "--data-root", str(tmp_path), "--output", str(tmp_path / "out.npz")]
    assert refused(arguments)
    assert not (tmp_path / "out.npz").exists()


# ------------------------------------------------------------------------------------------------------------- records


@pytest.fixture(scope="module")
def made(digits_spec: Callable[..., RunSpec], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound record."""
    budget = Budget(
        epsilon=3, delta=1e-5, sampling_rate=0.2, steps=5, noise_multiplier=1, epsilon_rdp=2.9, epsilon_pld=2.8
    )
    result = {"test_accuracy": 0.9, "test_loss": 0.5}
    one = Record(
        spec=digits_spec(),
        fingerprint="0123456789abcdef",
        status="done",
        reason=None,
        result=result,
        ledger=records.ledger(budget, sensitivity=0.1, steps_taken=5),
        nonprivate={"nonfinite_examples": 0},
        seconds={"total": 1.0},
        provenance={"cpu": "c", "commit": None, "data_sha256": "d", "peak_memory_mib": 1.0},
    )
    stem = tmp_path_factory.mktemp("record") / "seed-0"
    records.write(one, [{"epoch": 1, "step": 5, **result}], stem)
    return stem.with_suffix(".json")


@given(st.data())
def test_damaged_record_is_refused_or_of_the_same_run(
    made: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("record") / "seed-0.json"
    path.write_bytes(damaged(data, made.read_bytes()))
    try:
        read = records.read(path)
    except ValueError:
        return
    assert read.spec == records.read(made).spec


@given(st.data(), values)
def test_record_with_any_value_replaced_is_refused_with_a_line(
    made: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, value: Any
) -> None:
    content = json.loads(made.read_text())
    folder = tmp_path_factory.mktemp("record")
    path = folder / f"{records.read(made).spec.name()}.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(replaced(content, data.draw(st.sampled_from(places(content))), value)))
    path.with_suffix(".csv").write_bytes(made.with_suffix(".csv").read_bytes())
    refused(["verify", "--withhold", str(folder)])  # the assertion is that it is a line, or that nothing is wrong
    refused(["merge", str(folder), "--into", str(folder / "merged")])
