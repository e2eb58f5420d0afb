"""Take pictures of the pages that a person looks at, in a headless Chromium.

    python experiments/pages/look.py PICTURES [RUNS]

trains a small sweep of quickstart_reviews (or takes the runs below the folder RUNS), opens
`rnnexp board` on it and saves a PNG of each of TensorBoard's pages into the folder PICTURES.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from playwright.sync_api import Error, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
SWEEP = ["experiment=quickstart_reviews", "model.hidden_size=16,32", "seed=0,1,2"]
WEBGL = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
PATIENCE = 60_000  # milliseconds


@dataclass(frozen=True)
class Page:
    """One picture. url: after the address of the server, or whole. size: of the window, in pixels.
    seconds: to wait until it is drawn."""

    name: str
    url: str
    size: tuple[int, int] = (1500, 900)
    seconds: float = 4.0


PAGES = [
    Page("scalars", "#scalars"),
    Page("timeseries", "#timeseries"),
    Page("hparams", "#hparams"),
    Page("images", "#images", (1500, 1300)),
    Page("projector", "#projector", seconds=8),
    Page("pr_curves", "#pr_curves"),
    Page("custom_scalars", "#custom_scalars"),
    Page("text", "#text"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("runs", type=Path, nargs="?")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        runs = arguments.runs or Path(place)
        if arguments.runs is None:
            command = [sys.executable, "-m", "rnnexp", "train", "-m", *SWEEP]
            subprocess.run(command, env=os.environ | {"RNNEXP_OUTPUTS": place}, check=True)
        with board(runs) as address:
            take(address, PAGES, arguments.pictures)


@contextmanager
def board(runs: Path) -> Iterator[str]:
    """Serve the runs with `rnnexp board`. Yields the address."""
    command = [sys.executable, "-m", "rnnexp", "board", str(runs)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            found = re.search(r"http://\S+", line)
            assert found, line
            yield found[0]
        finally:
            process.terminate()


def take(address: str, pages: list[Page], pictures: Path) -> None:
    """Save a picture of each page, and say what the browser complained of."""
    pictures.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", *WEBGL]
        )
        for one in pages:
            width, height = one.size
            page = browser.new_page(viewport={"width": width, "height": height})
            errors: list[Error] = []
            page.on("pageerror", partial(_note, errors))
            url = one.url if "://" in one.url else f"{address}{one.url}"
            page.goto(url, timeout=PATIENCE)
            page.wait_for_timeout(1000 * one.seconds)
            page.screenshot(path=pictures / f"{one.name}.png")
            print(pictures / f"{one.name}.png", *errors, sep="\n  ")
            page.close()
        browser.close()


def _note(errors: list[Error], error: Error) -> None:
    errors.append(error)


if __name__ == "__main__":
    main()
