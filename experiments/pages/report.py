"""Pictures of a page of `rnnexp report`: on a phone and on a desk, light and dark, and in print.

    python experiments/pages/report.py outputs/quickstart/.../report.html /tmp/pictures

needs playwright, and a Chromium that is installed already.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

SIZES = {"phone": (390, 844), "desk": (1280, 900)}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def browser_path() -> str | None:
    """A Chromium of this machine; None if there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def main(page_file: Path, pictures: Path) -> None:
    pictures.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        for device, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                page = browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme="dark" if scheme == "dark" else "light",
                )
                page.goto(page_file.resolve().as_uri())
                page.screenshot(path=pictures / f"{device}_{scheme}.png", full_page=True)
                wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                print(f"{device} {scheme}: {wider} pixels wider than the screen")
                if (device, scheme) == ("desk", "light"):
                    page.pdf(path=pictures / "print.pdf", format="A4")
                    page.emulate_media(media="print")
                    page.set_viewport_size({"width": 700, "height": 1000})  # of A4
                    page.screenshot(path=pictures / "print.png", full_page=True)
                page.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
