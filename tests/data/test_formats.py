"""Data in formats that others use, each from files as they are found outside, and refused in a line if it is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from published_layouts import celeba, image, image_folder

from psasc_bench import data
from psasc_bench.data import Dataset, formats
from psasc_bench.records import fingerprint, record
from psasc_bench.training import Examples, check_fit

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")


def read(source: str, path: Path, **given: Any) -> Dataset:
    target = path.parent / "out.npz"
    data.prepare(source, target, root=path.parent, path=path, **given)
    return data.load(target)


def refusal(source: str, path: Path, **given: Any) -> str:
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        read(source, path, **given)
    assert "\n" not in str(caught.value)
    assert not (path.parent / "out.npz").exists()
    return str(caught.value)


# ---------------------------------------------------------------------------------------------------------- images


@pytest.mark.parametrize("test", ["test", "val"])
def test_image_folder_as_torchvision_has_it(test: str, tmp_path: Path) -> None:
    found = read("image_folder", image_folder(tmp_path / "mine", test=test), size=8)
    assert found.x_train.shape == (6, 3, 8, 8)
    assert found.x_train.dtype == np.uint8
    assert found.y_train.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.x_train[:, :, 0, 0].tolist() == [[10 * i, n, 0] for i in range(2) for n in range(3)]
    assert found.y_test.tolist() == [0, 0, 1, 1]
    assert data.count_classes(found) == 2
    assert found.offset.tolist() == [127.5] * 3
    check_fit("resnet9", found, name="mine")


def test_labels_are_those_of_torchvisions_own_reader(tmp_path: Path) -> None:
    torchvision = pytest.importorskip("torchvision")
    folder = image_folder(tmp_path / "mine", classes=("b", "A", "a"))
    theirs = torchvision.datasets.ImageFolder(folder / "train")
    found = read("image_folder", folder, size=4)
    assert [label for _, label in theirs.samples] == found.y_train.tolist()
    pixels = [np.asarray(image.resize((4, 4))).transpose(2, 0, 1) for image, _ in theirs]
    assert np.array_equal(np.stack(pixels), found.x_train)


def test_constants_of_images_are_fractions_of_255(tmp_path: Path) -> None:
    found = read("image_folder", image_folder(tmp_path / "m"), size=4, mean=(0.2, 0.4, 0.6), deviation=(0.1, 0.2, 0.5))
    seen, _ = Examples(found, "train", CPU)[slice(3, 4)]
    torch.testing.assert_close(seen[0, 0], torch.full((4, 4), (10 / 255 - 0.2) / 0.1))


def without_tests(path: Path) -> None:
    (path / "test").rename(path / "tests")


def with_an_empty_class(path: Path) -> None:
    (path / "train" / "cow").mkdir()


def with_one_class(path: Path) -> None:
    (path / "train" / "bee").rename(path / "bee")


def with_a_class_of_tests_only(path: Path) -> None:
    image(path / "test" / "cow" / "1.png", (0, 0, 0))


def with_a_broken_image(path: Path) -> None:
    (path / "train" / "bee" / "0.png").write_bytes(b"\x89PNG no")


def without_training(path: Path) -> None:
    (path / "train").rename(path / "training")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without_tests, "must have a folder test or val"),
        (without_training, "train: there is no such folder; it must hold a folder of images for each class"),
        (with_an_empty_class, "cow: holds no image"),
        (with_one_class, "train: must have a folder for each of two classes or more, has 1"),
        (with_a_class_of_tests_only, "class 'cow' is not in"),
        (with_a_broken_image, "0.png: not a sound image"),
    ],
)
def test_folder_that_is_none_of_images_is_refused(change: Callable[[Path], None], told: str, tmp_path: Path) -> None:
    change(image_folder(tmp_path / "mine"))
    assert told in refusal("image_folder", tmp_path / "mine", size=4)


def test_images_without_a_size_are_refused(tmp_path: Path) -> None:
    assert "give the key 'size'" in refusal("image_folder", image_folder(tmp_path / "mine"))
    assert "no such file or folder" in refusal("image_folder", tmp_path / "absent", size=4)


def test_name_of_a_folder_of_data_is_that_of_its_content(tmp_path: Path) -> None:
    one, two, three = (image_folder(tmp_path / name) for name in ("one", "two", "three"))
    (two / ".DS_Store").write_text("hidden")
    image(three / "train" / "bee" / "0.png", (1, 1, 1))
    names = [data.prepared_name("image_folder", path=path, size=4) for path in (one, two, three)]
    assert names[0] == names[1] != names[2]
    assert data.prepared_name("image_folder", path=one, size=5) != names[0]


# ------------------------------------------------------------------------------------- the protocol's further rows


def test_imagenette_as_it_is_unpacked(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "imagenette2-160", classes=formats.IMAGENETTE, test="val")
    (folder / "noisy_imagenette.csv").write_text("path,noisy_labels_0\n")
    found = read("imagenette", folder, size=16)
    assert found.x_train.shape == (30, 3, 16, 16)
    assert data.count_classes(found) == 10
    np.testing.assert_allclose(found.offset, [255 * m for m in (0.485, 0.456, 0.406)], rtol=1e-6)
    check_fit("resnet9", found, name="imagenette")
    (folder / "train" / formats.IMAGENETTE[3]).rename(folder / "train" / "n00000000")
    with pytest.raises(ValueError, match="must have the ten classes of Imagenette"):
        read("imagenette", folder, size=16)


def test_celeba_as_it_is_published(tmp_path: Path) -> None:
    found = read("celeba", celeba(tmp_path / "celeba"), size=8, label="Male")
    assert found.x_train.shape == (4, 3, 8, 8)
    assert found.y_train.tolist() == [0, 1, 0, 1]
    assert found.y_test.tolist() == [1, 0, 1]
    assert read("celeba", tmp_path / "celeba", size=8, label="Smiling").y_train.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("list_attr_celeba.txt", "-1", "x", "line 3 must be an image and 2 whole numbers"),
        ("list_eval_partition.txt", "000001.jpg 0", "000001.jpg", "line 1 must be an image and 1 whole numbers"),
        ("list_eval_partition.txt", " 2", " 3", "names no image with the number 2, of the test part"),
    ],
)
def test_celeba_with_damaged_lists_is_refused(file: str, old: str, new: str, told: str, tmp_path: Path) -> None:
    path = celeba(tmp_path / "celeba") / file
    path.write_text(path.read_text().replace(old, new))
    assert told in refusal("celeba", tmp_path / "celeba", size=8, label="Male")


def test_celeba_without_its_parts_is_refused(tmp_path: Path) -> None:
    celeba(tmp_path / "celeba")
    assert "give the key 'label', one of: Male, Smiling" in refusal("celeba", tmp_path / "celeba", size=8)
    (tmp_path / "celeba" / "img_align_celeba" / "000002.jpg").unlink()
    assert "000002.jpg: there is no such file" in refusal("celeba", tmp_path / "celeba", size=8, label="Male")
    (tmp_path / "celeba" / "list_attr_celeba.txt").unlink()
    assert "list_attr_celeba.txt: there is no such file" in refusal("celeba", tmp_path / "celeba", size=8, label="Male")


# --------------------------------------------------------------------------------------------------------- MedMNIST


def medmnist(path: Path, colours: bool = False, **changes: Any) -> Path:
    random = np.random.default_rng(0)
    shape = (28, 28, 3) if colours else (28, 28)
    arrays: dict[str, Any] = {}
    for part, count in (("train", 9), ("val", 3), ("test", 6)):
        arrays[f"{part}_images"] = random.integers(0, 256, (count, *shape), np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count) % 3)[:, None].astype(np.uint8)
    np.savez(path, **(arrays | changes))
    return path


@pytest.mark.parametrize("colours", [False, True])
def test_medmnist_by_its_own_names(colours: bool, tmp_path: Path) -> None:
    path = medmnist(tmp_path / "pathmnist.npz", colours)
    found = read("medmnist", path)
    theirs = np.load(path)["train_images"]
    assert np.array_equal(found.x_train, theirs.transpose(0, 3, 1, 2) if colours else theirs[:, None])
    assert found.y_train.tolist() == [0, 1, 2] * 3
    assert len(found.y_test) == 6


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"train_images": np.zeros((9, 28, 28, 28), np.uint8)}, "must be uint8 [n, height, width] or"),
        ({"train_images": np.zeros((9, 28, 28))}, "must be uint8"),
        ({"train_labels": np.zeros((9, 14), np.uint8)}, "has several labels an image"),
        ({"train_labels": np.ones((9, 1), np.uint8)}, "labels from 1 to 1; it must have two classes or more, from 0"),
        ({"test_labels": np.full((6, 1), 3, np.uint8)}, "y_test has labels from 3 to 3, y_train to 2"),
    ],
)
def test_medmnist_that_cannot_be_right_is_refused(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    assert told in refusal("medmnist", medmnist(tmp_path / "odd.npz", **changes))


# ---------------------------------------------------------------------------------------------------------- tables


def frame(rows: int, **changes: Any) -> pd.DataFrame:
    random = np.random.default_rng(rows)
    columns = {"age": random.integers(18, 90, rows), "income": random.normal(size=rows), "bought": np.arange(rows) % 2}
    return pd.DataFrame(columns | changes)


CONSTANTS = {"mean": (50.0, 0.0), "deviation": (20.0, 1.0)}


def test_table_is_parted_the_same_way_every_time(tmp_path: Path) -> None:
    whole = frame(50)
    whole.to_csv(tmp_path / "mine.csv", index=False)
    found = read("table", tmp_path / "mine.csv", label="bought", **CONSTANTS)
    assert (found.x_train.shape, found.x_test.shape) == ((40, 2), (10, 2))
    rows = np.concatenate([found.x_train, found.x_test])
    ours = np.column_stack([rows, np.concatenate([found.y_train, found.y_test])])
    theirs = whole[["age", "income", "bought"]].to_numpy(np.float32)
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])
    assert read("table", tmp_path / "mine.csv", label="bought", **CONSTANTS).sha256 == found.sha256
    seen, _ = Examples(found, "train", CPU)[torch.tensor([0])]
    torch.testing.assert_close(seen, torch.from_numpy((found.x_train[:1] - [50, 0]) / [20, 1]).float())
    check_fit("mlp", found, name="mine")


def test_folder_of_tables_has_its_own_parts(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    frame(8).to_csv(tmp_path / "mine" / "train.csv", index=False)
    frame(4)[["bought", "income", "age"]].to_csv(tmp_path / "mine" / "test.csv", index=False)
    found = read("table", tmp_path / "mine", label="bought", mean=(0.0,), deviation=(1.0,))
    np.testing.assert_array_equal(found.x_test, frame(4)[["age", "income"]].to_numpy(np.float32))


def test_two_dimensional_npz_is_a_table(tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(6, 4)), np.arange(6) % 3
    np.savez(tmp_path / "mine.npz", x_train=x, y_train=y, x_test=x[:3], y_test=y[:3])
    found = read("table", tmp_path / "mine.npz", mean=(0.0,), deviation=(2.0,))
    assert found.x_train.dtype == np.float32
    assert found.scale.tolist() == [2.0] * 4
    check_fit("logistic", found, name="mine")


def test_parquet_is_read_where_it_can_be(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    try:
        frame(50).to_parquet(path)
    except ImportError:
        path.write_bytes(b"PAR1")
        assert "needs the package pyarrow" in refusal("table", path, label="bought", **CONSTANTS)
    else:
        assert read("table", path, label="bought", **CONSTANTS).x_train.shape == (40, 2)


@pytest.mark.parametrize(
    ("changes", "given", "told"),
    [
        ({}, {"label": None}, "give the key 'label'"),
        ({}, {"label": "sold"}, "has no column 'sold' for label; it has: age, income, bought"),
        ({}, {"mean": None, "deviation": None}, "give the keys 'mean' and 'deviation': public constants of the 2"),
        ({}, {"mean": (1.0, 2.0, 3.0), "deviation": (1.0,)}, "one value for each of the 2 columns"),
        ({"income": [np.nan] + [1.0] * 49}, {}, "missing, NaN or infinite values"),
        ({"income": [1e300] * 50}, {}, "missing, NaN or infinite values"),
        ({"age": ["old"] * 50}, {}, "column 'age' holds no numbers"),
        ({"bought": [1, 2] * 25}, {}, "labels from 1 to 2; it must have two classes or more, from 0"),
        ({"bought": [0] * 50}, {}, "labels from 0 to 0; it must have two classes or more"),
        ({"bought": [0.5, 1] * 25}, {}, "must hold whole numbers"),
        ({"bought": ["no", "yes"] * 25}, {}, "column 'bought' holds text, as 'no', 'yes'; number the classes from 0"),
        ({"bought": [np.nan] + [1] * 49}, {}, "column 'bought' has no label in 1 of 50 rows"),
    ],
)
def test_table_that_cannot_be_trained_on_is_refused(
    changes: dict[str, Any], given: dict[str, Any], told: str, tmp_path: Path
) -> None:
    frame(50, **changes).to_csv(tmp_path / "mine.csv", index=False)
    assert told in refusal("table", tmp_path / "mine.csv", **({"label": "bought", **CONSTANTS} | given))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,y\n7,2,0\n8,3,1\n", "has rows of more fields than its first"),
        ("a,y,y\n1,0,0\n2,1,1\n", "has two columns that are called 'y'"),
        ("y\n0\n1\n", "has no column but 'y'"),
        ("a,y\n", "has no rows"),
    ],
)
def test_table_whose_columns_could_be_taken_for_others_is_refused(text: str, told: str, tmp_path: Path) -> None:
    """pandas would take the first column for row labels, or call the second `y` a feature."""
    (tmp_path / "mine.csv").write_text(text)
    assert told in refusal("table", tmp_path / "mine.csv", label="y", **CONSTANTS)


def test_whole_numbers_of_a_table_are_no_token_ids(tmp_path: Path) -> None:
    x, y = np.arange(12).reshape(6, 2), np.arange(6) % 2
    np.savez(tmp_path / "mine.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    assert read("table", tmp_path / "mine.npz", **CONSTANTS).x_train.dtype == np.float32


def test_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("")
    assert "mine.csv: not a table" in refusal("table", tmp_path / "mine.csv", label="y", **CONSTANTS)
    (tmp_path / "mine.xlsx").write_text("")
    assert "must be one of .csv, .parquet, .npz" in refusal("table", tmp_path / "mine.xlsx", label="y", **CONSTANTS)
    (tmp_path / "mine").mkdir()
    assert "must hold train.csv or train.parquet" in refusal("table", tmp_path / "mine", label="y", **CONSTANTS)


# ------------------------------------------------------------------------------------------------------------ text


def texts(path: Path, **changes: Any) -> Path:
    x, y = np.random.default_rng(0).integers(0, 50, (8, 6)).astype(np.int32), np.arange(8) % 2
    np.savez(path, **({"x_train": x, "y_train": y, "x_test": x[:4], "y_test": y[:4]} | changes))
    return path


def test_token_ids_reach_the_model_as_they_are(tmp_path: Path) -> None:
    found = read("tokens", texts(tmp_path / "mine.npz"))
    assert found.x_train.dtype == np.int64
    seen, _ = Examples(found, "train", CPU)[slice(None)]
    assert np.array_equal(seen.numpy(), np.load(tmp_path / "mine.npz")["x_train"])
    check_fit("embedding_bag", found, name="mine")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"x_train": np.ones((8, 6))}, "must be token ids [n, length], whole numbers from 0"),
        ({"x_train": -np.ones((8, 6), int)}, "must be token ids"),
        ({"x_train": np.ones(8, int)}, "must be token ids"),
        ({"x_test": np.ones((4, 5), int)}, "hold examples of unlike shape"),
        ({"x_train": np.full((8, 6), 2**63, np.uint64)}, "has a token id of 9223372036854775808"),
        ({"y_train": np.arange(7) % 2}, "must be of the same examples"),
    ],
)
def test_what_is_no_text_is_refused(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    assert told in refusal("tokens", texts(tmp_path / "odd.npz", **changes))
    assert "token ids are not scaled" in refusal("tokens", texts(tmp_path / "odd.npz"), mean=(0.0,), deviation=(1.0,))


# ---------------------------------------------------------------------------------------------------- what is shipped


@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist", "cifar10_scatter"])
def test_runs_that_are_shipped_are_of_the_code_that_there_is(dataset: str) -> None:
    """With what reads their sources and prepares their features: they would have to be trained again otherwise."""
    paths = sorted((ROOT / "results" / "runs" / dataset).rglob("seed-0.json"))
    features: Any = "scattering" if dataset == "cifar10_scatter" else "pixels"
    for path in paths:
        found = record.read(path)
        source = dataset.removesuffix("_scatter")
        assert found.fingerprint == fingerprint(found.spec, source=source, features=features), path
    assert paths


def test_prepared_files_of_known_sources_have_the_names_that_they_had() -> None:
    """Other names would have them prepared, and all budgets calibrated, again."""
    names = [data.prepared_name(source) for source in ("digits", "mnist", "fashion_mnist", "cifar10")]
    names.append(data.prepared_name("cifar10", features="scattering"))
    assert names == [
        *("digits-b731ddd9d823", "mnist-a73c4e19b9e0", "fashion_mnist-3492e2d37d29", "cifar10-540a1ac6e77c"),
        "cifar10-scattering-227fe401d745",
    ]
