"""A page in a Chromium that is installed already: it is quiet, and its controls work."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from rnnexp.report.figures import inline
from tests.report.handwritten import page_of, write_run
from tests.report.test_many import write_sweep

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium"),
    pytest.mark.skipif(
        importlib.util.find_spec("playwright") is None, reason="playwright is not installed"
    ),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield opened
        opened.close()


def opened(browser: Any, path: Path, said: list[str], width: int = 1280) -> Any:
    """A page. said: gets all that it says, and all that it asks for beside itself."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "request",
        lambda request: said.append(request.url) if not request.url.startswith("data:") else None,
    )
    page.goto(path.as_uri())
    assert said == [path.as_uri()]
    said.clear()
    return page


def test_a_sweep_is_sorted_filtered_and_unfolded(browser: Any, empty_folder: Path) -> None:
    place = write_sweep(empty_folder / "sweep", failed=3)
    page_of(place)
    said: list[str] = []
    page = opened(browser, place / "report.html", said)

    def column(number: int) -> list[str]:
        rows = page.locator("table.ranking > tbody:visible > tr:first-child")
        return [cell.strip() for cell in rows.locator(f"td:nth-child({number})").all_inner_texts()]

    heads = page.locator("table.ranking > thead th").all_inner_texts()
    lr, smape = (
        next(n for n, head in enumerate(heads, 1) if name in head) for name in ("lr", "smape")
    )
    known = [text for text in column(smape) if text]
    assert known == sorted(known) and len(column(lr)) == 25
    page.locator("thead button", has_text="lr").first.click()
    assert column(lr) == sorted(column(lr), key=float)
    page.locator("thead button", has_text="lr").first.click()
    assert column(lr) == sorted(column(lr), key=float, reverse=True)

    page.locator("input[type=search]").fill("hidden_size=16 lr=0.1")
    assert column(lr) == ["0.1"] and page.locator(".count").inner_text() == "1 of 25"
    assert page.locator(".curve:visible").count() == 4, "two seeds, in two charts"
    page.locator("input[type=search]").fill("failed")
    assert column(lr) == ["0.1", "0.03"]

    page.locator("input[type=search]").fill("")
    assert page.locator("tr.runs:visible").count() == 0
    page.locator("button.unfold").first.click()
    assert page.locator("tr.runs:visible a").count() == 2

    page.locator(".legend li").first.hover()
    assert page.locator(".curve.on").count() == 4
    assert said == []


@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_is_as_wide_as_the_screen_and_runs_no_foreign_script(
    width: int, browser: Any, empty_folder: Path
) -> None:
    foreign = "<script>document.title = 'mine'</script><img src=x onerror=alert(1)>" + "x" * 300
    run = write_run(
        empty_folder / "run",
        {"name": foreign},
        overrides=[foreign],
        spec={"title": foreign},
        split={foreign: {"rows": 1}},
        data="/data",
    )
    page_of(run)
    said: list[str] = []
    page = opened(browser, run / "report.html", said, width)
    assert page.title() == foreign
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.emulate_media(media="print")
    assert page.locator("details").first.is_visible()
    assert said == []


@pytest.mark.parametrize("width", [390, 1280])
def test_the_numbers_of_a_diverged_run_fit(width: int, browser: Any, empty_folder: Path) -> None:
    for seed, lr, smape in ((0, 1.0, 8.8153837e35), (1, 1.0, 8.8153837e35), (2, 0.1, 0.5)):
        values = {"optimizer.lr": lr, "seed": seed, "smape": smape}
        run = write_run(empty_folder / "runs" / str(seed), values)
        page_of(run)
        page = opened(browser, run / "report.html", [], width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        big = page.locator(".big").inner_text()
        assert big == ("0.5000 %" if seed == 2 else "8.815e+35 %")
        texts = page.locator(".chart .grid text").all()
        places = [box for text in texts if (box := text.bounding_box())]
        edge = page.locator(".chart svg").first.bounding_box()["x"]
        assert places and all(box["x"] >= edge for box in places), "no label is cut"
        page.close()
    html = page_of(empty_folder / "runs")
    assert "8.815e+35 ± " in html and ",000,000" not in html
    page = opened(browser, empty_folder / "runs" / "report.html", [], width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_letters_of_all_figures_have_one_size(
    browser: Any, empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = {}
    for name, width in (("narrow", 5), ("wide", 11)):
        figures[name] = Figure(figsize=(width, 3))
        figures[name].subplots().set_title("Title")
    monkeypatch.setattr("rnnexp.report.run.drawn_again", lambda folder: inline(figures))
    split = {"SERIES": {f"{part}_{end}": "2015-01-01T01:00:00" for part in "ab" for end in "cd"}}
    defects = {"SERIES": {f"kind_of_{number}": number for number in range(7)}}
    run = write_run(empty_folder / "run", data="/data", split=split, defects=defects)
    page_of(run)
    for width in (1280, 390):
        page = opened(browser, run / "report.html", [], width)
        titles = page.locator(".drawn text", has_text="Title").all()
        narrow, wide = (one.bounding_box()["height"] for one in titles)
        assert min(narrow, wide) > 9
        if width == 1280:
            assert narrow == pytest.approx(wide, rel=0.1)
            cut = "all => all.filter(x => x.scrollWidth > x.clientWidth).map(x => x.innerHTML)"
            assert page.locator(".scroll").evaluate_all(cut) == []
        page.close()


def test_a_script_of_another_hash_is_refused(browser: Any, empty_folder: Path) -> None:
    """If escaping missed something, the policy would still hold."""
    run = write_run(empty_folder / "run")
    html = page_of(run)
    bad = "<h1><script>document.title = 'mine'</script><img src='http://127.0.0.1:9/x.png'>"
    (run / "report.html").write_text(html.replace("<h1>", bad, 1))
    said: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.goto((run / "report.html").as_uri())
    assert page.title() != "mine"
    assert len(said) == 2 and all("Content Security Policy" in line for line in said)
