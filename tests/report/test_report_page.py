from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from graft.core.errors import RunFolderError
from graft.core.layout import ExperimentPaths
from graft.core.roles import Split
from graft.report.page import write_report

VOID = {"meta", "br", "path", "circle", "rect", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """The elements of a page, to look at what a browser would fetch or run."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.texts.append(data)


@pytest.fixture(scope="module")
def html(written):
    return write_report(written).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def visible(root):
    return " ".join(" ".join(Page(write_report(root).read_text("utf-8")).texts).split())


def test_nothing_is_fetched(page, html):
    for tag, attributes in page.elements:
        assert tag not in {"link", "img", "iframe", "object", "base"}
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            assert (attributes.get(name) or "#").startswith("#")
    style = re.search(r"<style>(.*?)</style>", html, re.S).group(1)
    assert "url(" not in style and "@import" not in style
    policy = next(a["content"] for t, a in page.elements if a.get("http-equiv"))
    assert "default-src 'none'" in policy


def test_hostile_texts_are_shown_and_not_run(page):
    assert not page.open  # every element is closed: nothing broke out of its place
    assert [tag for tag, _ in page.elements].count("script") == 3
    assert "<script>alert(1)</script>" in "".join(page.texts)


def test_the_plotly_script_is_embedded_once(html):
    assert html.count("plotly.js v") == 1


def test_the_same_files_give_the_same_bytes(folder):
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first
    assert str(folder).encode() not in first


def test_a_failed_audit_and_a_missed_gate_stand_before_the_verdict(page):
    text = " ".join("".join(page.texts).split())
    banner, verdict = text.index("Do not rely on these numbers"), text.index("What was found")
    assert banner < text.index("K8 round trip failed") < text.index("Gate missed") < verdict
    assert "4 checks or gates did not pass" in text


def test_accepted_is_shown_as_accepted(page):
    assert "failed, accepted" in " ".join("".join(page.texts).split())
    classes = [attributes.get("class", "") for _, attributes in page.elements]
    assert "chip accepted" in classes and "chip not_run" in classes and "chip error" in classes


def test_headings_do_not_skip_a_level(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(new - old <= 1 for old, new in pairwise(levels))


def test_every_id_is_used_once_and_every_plot_has_a_table(page):
    idents = [a["id"] for _, a in page.elements if "id" in a]
    assert len(idents) == len(set(idents))
    charts = [a for t, a in page.elements if t == "figure"]
    tables = [t for t in page.texts if t.startswith("Table: ")]
    assert len(charts) == len(tables) == 10


def test_long_tables_say_where_the_rest_stands(page):
    text = " ".join("".join(page.texts).split())
    assert "520 more rows in <run>/predictions/test.map.parquet" in text


def test_every_arm_says_what_was_asked_and_what_the_loss_saw(page):
    text = " ".join("".join(page.texts).split())
    assert text.count("Asked and done 3 of 5 options in force as asked for") == 2
    assert text.count("1,200 rows, 1,200 pairs with loss") == 2
    assert text.count("the gradients differ by 2e−6 of their norm") == 2
    assert "Saved folders" not in text  # Graft's own loop is audited on its checkpoints


def test_passed_findings_stand_behind_one_line_a_check(page):
    folds = [a for t, a in page.elements if t == "details" and "fold" in a.get("class", "")]
    assert len(folds) < 30 and "K2 first gradient, finite loss, gradient direction" in page.texts


@pytest.mark.parametrize("name", ["index", "comparison"])
def test_a_missing_required_file_is_an_error(folder, name):
    path = getattr(ExperimentPaths(folder), name)
    path.unlink()
    with pytest.raises(RunFolderError, match=path.name):
        write_report(folder)


def test_a_damaged_file_is_an_error_and_all_are_named_at_once(folder):
    paths = ExperimentPaths(folder)
    paths.run("lora").scores.write_text("{")
    paths.run("base").predictions(Split.test).write_bytes(b"no parquet")
    with pytest.raises(RunFolderError) as caught:
        write_report(folder)
    assert len(caught.value.problems) == 2


def test_an_unknown_metric_is_an_error(folder):
    path = ExperimentPaths(folder).run("lora").scores
    path.write_text(path.read_text("utf-8").replace('"pearson"', '"invented"'), "utf-8")
    with pytest.raises(RunFolderError, match="invented"):
        write_report(folder)


def test_without_any_optional_file_every_section_says_so(folder):
    paths = ExperimentPaths(folder)
    kept = {paths.index, paths.comparison}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path not in kept:
            path.unlink()
    text = visible(folder)
    assert text.count("not measured.") > 10
    for part in ("Audits: not run", "Leakage was not measured", "Findings: not measured"):
        assert part in text


def test_findings_of_the_runs_stand_in_for_the_missing_whole(folder):
    paths = ExperimentPaths(folder)
    paths.findings.rename(paths.run("lora").audits)
    assert "K8 round trip failed" in visible(folder)


def test_without_leaked_rows_the_page_says_that_too(folder):
    path = ExperimentPaths(folder).data_report
    text = path.read_text("utf-8")
    start, end = text.rindex('"leaked": ['), text.rindex('"clean_rows"')
    path.write_text(text[:start] + '"leaked": [], ' + text[end:], "utf-8")
    assert "The training split gives away no test row." in visible(folder)
