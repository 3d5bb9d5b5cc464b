from __future__ import annotations

import shutil
import time

import pytest

from graft.report.page import write_report
from graft.report.training_page import write_training_report

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver"),
]


@pytest.fixture(scope="module")
def browser():
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in ("headless=new", "no-sandbox", "disable-dev-shm-usage"):
        options.add_argument(f"--{switch}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(written):
    return write_report(written).as_uri()


def opened(browser, address, width, scheme="light"):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.get(address)
    for _ in range(200):
        if browser.execute_script("return document.documentElement.dataset.drawn"):
            return browser
        time.sleep(0.05)
    raise AssertionError("the charts were not drawn")


@pytest.fixture(params=["experiment", "two", "many", "training"])
def either(request, address, trained):
    if request.param == "experiment":
        return address, 8
    if request.param != "training":
        return write_report(request.getfixturevalue(request.param)).as_uri(), 8
    return write_training_report(trained).as_uri(), 3


@pytest.mark.parametrize("width", [375, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_draws_and_fetches_nothing(browser, either, width, scheme):
    place, least = either
    page = opened(browser, place, width, scheme)
    run = page.execute_script
    assert run("return document.documentElement.scrollWidth <= innerWidth && innerWidth") == width
    drawn = "return document.querySelectorAll('.plot svg.main-svg').length"
    plots = run("return document.querySelectorAll('.plot').length")
    assert plots >= least and run(drawn) >= plots
    assert [entry["message"] for entry in page.get_log("browser")] == []
    requests = [
        entry["message"]
        for entry in page.get_log("performance")
        if '"Network.requestWillBeSent"' in entry["message"]
    ]
    assert all('"url":"file:' in text or '"url":"data:' in text for text in requests)


def test_a_key_hides_its_run_by_keyboard(browser, address):
    from selenium.webdriver.common.keys import Keys

    page = opened(browser, address, 1280)
    lines = "return document.querySelectorAll('#roc-0 .scatterlayer .trace').length"
    before = page.execute_script(lines)
    button = page.find_element("css selector", "[data-chart=roc][data-key=lora]")
    button.send_keys(Keys.SPACE)
    assert button.get_attribute("aria-pressed") == "false"
    assert page.execute_script(lines) < before


def test_on_paper_every_table_is_open_and_nothing_is_cut(browser, address):
    page = opened(browser, address, 720)
    closed = "return document.querySelectorAll('details:not([open])').length"
    before = page.execute_script(closed)
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert before and page.execute_script(closed) == 0
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert page.execute_script("return document.documentElement.scrollWidth") <= 720
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    page.execute_script("dispatchEvent(new Event('afterprint'))")
    assert page.execute_script(closed) == before
