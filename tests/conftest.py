"""What several test files share: the digits, a small run of theirs, and repeatable property tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from playwright.sync_api import Browser, sync_playwright

from psasc_bench import data
from psasc_bench.study import RunSpec

# the same examples on every machine and day, however slow: a failure can be repeated
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=50)
settings.register_profile("thorough", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a record is current hangs on the data that have been prepared where one asks: not in the clone, which may
    have made its figures."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The machine's own, for pages that are meant to be looked at."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser on this machine; looked for {', '.join(BROWSERS)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    data.prepare("digits", path, root=path.parent)
    return path


@pytest.fixture(scope="session")
def digits(prepared: Path) -> data.Dataset:
    return data.load(prepared)


@pytest.fixture(scope="session")
def digits_spec() -> Callable[..., RunSpec]:
    """A run of five steps on the digits, with any of its values replaced."""

    def make(**changes: Any) -> RunSpec:
        values: dict[str, Any] = {
            "dataset": "digits",
            "model": "digits_cnn",
            "method": "dp-psasc",
            "parameters": {"C": 0.1, "s": 2.0, "r": 0.1},
            "epsilon": 3.0,
            "delta": 1e-5,
            "expected_batch_size": 256,
            "epochs": 1,
            "learning_rate": 0.5,
            "momentum": 0.9,
            "seed": 0,
        }
        return RunSpec(**(values | changes))

    return make
