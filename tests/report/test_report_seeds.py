"""The report of arms that were trained with several seeds."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import yaml

from graft.core.experiment import ExperimentIndex
from graft.core.files import read_json, write_json
from graft.core.findings import Finding, Findings, Status
from graft.core.layout import ExperimentPaths
from graft.core.scores import ScoreBook
from graft.core.verdicts import Comparison
from graft.report import words
from graft.report.card import write_card
from graft.report.cards import cards
from graft.report.chart import Chart
from graft.report.evidence import read_evidence
from graft.report.page import charts, context, write_report
from graft.report.replicates import deviation, first_seed, seed_table, seeds_words, trained_words
from graft.report.results import key_metrics


@pytest.fixture
def seeded(folder):
    """The run folder as if both arms had been trained with the seeds 42 and 43."""
    paths = ExperimentPaths(folder)
    index = read_json(paths.index, ExperimentIndex)
    for entry in index.runs:
        if not entry.trained:
            continue
        further = paths.run(f"{entry.name}/seed-43")
        further.root.mkdir()
        for name in ("plan", "ledger", "history", "cost"):
            shutil.copy2(getattr(paths.run(entry.name), name), further.root)
        book = read_json(paths.run(entry.name).scores, ScoreBook)
        write_json(paths.run(entry.name).scores, _with_seeds(book))
    runs = tuple(replace(e, seeds=(42, 43)) if e.trained else e for e in index.runs)
    write_json(paths.index, replace(index, runs=runs))
    comparison = read_json(paths.comparison, Comparison)
    headline = tuple(replace(item, seeds=2) for item in comparison.headline)
    write_json(paths.comparison, replace(comparison, headline=headline))
    findings = read_json(paths.findings, Findings)
    bad = Finding(
        "K3", "movement", "Did it move?", Status.failed, "No.", {}, "lora/seed-43", "Fix."
    )
    write_json(paths.findings, Findings((*findings.items, bad)))
    return folder


def _with_seeds(book):
    items = []
    for scores in book.items:
        spread = [
            score
            if score.value is None
            else replace(score, by_seed=(score.value - 0.01, score.value + 0.01))
            for score in scores.items
        ]
        items.append(replace(scores, items=tuple(spread)))
    return ScoreBook(tuple(items))


def chart(evidence, ident):
    return next(item for item in charts(evidence) if item.id == ident)


def test_the_headline_and_the_sentences_say_over_how_many_seeds(seeded):
    evidence = read_evidence(seeded)
    assert words.headline(evidence).endswith("on Spearman correlation in the mean of 2 seeds.")
    assert "mean of 2 seeds" in cards(evidence)[0].sentence
    assert seeds_words(evidence) == "42 to 43"
    assert "first seed, 42" in first_seed(evidence)


def test_one_table_holds_every_arm_metric_and_seed(seeded):
    evidence = read_evidence(seeded)
    metrics = key_metrics(evidence, most=3)
    table = seed_table(evidence, metrics)
    assert table.columns[-2:] == ("seed 42", "seed 43")
    assert len(table.rows) == 2 * 3
    assert table.numeric == (False, False, True, True, True, True, True)
    score = evidence.run("lora").score("spearman")
    assert deviation(score) == pytest.approx(0.02 / 2**0.5)


def test_arms_may_be_trained_a_different_number_of_times(seeded):
    """A control with seeds of its own: the headline is not about seeds, the table is."""
    index = read_json(seeded / "experiment.json", ExperimentIndex)
    once = tuple(replace(e, seeds=(42,)) if e.name == "lora" else e for e in index.runs)
    write_json(seeded / "experiment.json", replace(index, runs=once))
    scores = ExperimentPaths(seeded).run("lora").scores
    book = read_json(scores, ScoreBook)
    alone = [
        replace(s, items=tuple(replace(score, by_seed=()) for score in s.items)) for s in book.items
    ]
    write_json(scores, ScoreBook(tuple(alone)))
    evidence = read_evidence(seeded)
    trained = trained_words(evidence)
    assert trained == "Trained: LoRA, rank 8 once; Standard fine-tuning 2 times."
    table = seed_table(evidence, key_metrics(evidence, most=3))
    assert {row[0] for row in table.rows} == {"Standard fine-tuning"}
    assert isinstance(chart(evidence, "seeds"), Chart)
    assert trained in write_report(seeded).read_text(encoding="utf-8")


def test_the_chart_of_seeds_has_a_dot_for_each(seeded):
    found = chart(read_evidence(seeded), "seeds")
    assert isinstance(found, Chart)
    dots = [trace for trace in found.panels[0].figure["data"] if len(trace["x"]) == 2]
    assert len(dots) == 2
    assert {"seed 42", "seed 43"} <= set(found.table.columns)


def test_curves_of_all_seeds_have_the_colour_and_the_key_of_their_arm(seeded):
    found = chart(read_evidence(seeded), "loss")
    groups = {trace["legendgroup"] for trace in found.panels[0].figure["data"]}
    assert groups == {"standard", "lora"}
    assert [key.key for key in found.keys] == ["standard", "lora"]
    colours = {}
    for trace in found.panels[0].figure["data"]:
        look = trace.get("line") or trace["marker"]
        colours.setdefault(trace["legendgroup"], set()).add(look["color"])
    assert all(len(found) == 1 for found in colours.values())
    assert "LoRA, rank 8, seed 43" in set(found.table["run"])


def test_a_finding_of_one_seed_counts_for_its_arm_and_is_named(seeded):
    evidence = read_evidence(seeded)
    lora = next(card for card in cards(evidence) if card.run.name == "lora")
    assert any("LoRA, rank 8, seed 43" in reason for reason in words.failures(evidence))
    before = next(c for c in cards(read_evidence(seeded)) if c.run.name == "standard")
    assert lora.blocked >= 1 and before.blocked == 0
    titles = [place.title for place in context(evidence)["places"]]
    assert titles.index("LoRA, rank 8, seed 43") == titles.index("LoRA, rank 8") + 1


def test_the_card_says_which_training_it_is_and_gives_its_own_scores(seeded):
    text = write_card(seeded, "lora").read_text(encoding="utf-8")
    assert "Trained 2 times, with the seeds 42 to 43. This model is that of the first, 42" in text
    assert "| Mean of 2 seeds | This model |" in text
    assert "LoRA, rank 8, seed 43: No." in text
    meta = yaml.safe_load(text.split("---\n", 2)[1])
    metrics = meta["model-index"][0]["results"][0]["metrics"]
    own = {item["type"]: item["value"] for item in metrics}
    score = read_evidence(seeded).run("lora").score("spearman")
    assert own["spearman"] == score.by_seed[0] != score.value


def test_one_seed_shows_nothing_of_seeds(folder):
    evidence = read_evidence(folder)
    assert all(item.id != "seeds" for item in charts(evidence))
    assert (first_seed(evidence), seeds_words(evidence)) == ("", "42")
    page = write_report(folder).read_text(encoding="utf-8")
    assert "Every seed" not in page and "mean of" not in page


def test_the_page_of_several_seeds_is_whole(seeded):
    page = write_report(seeded).read_text(encoding="utf-8")
    for said in ("Every seed of every arm", "seeds 42 to 43", "LoRA, rank 8, seed 43"):
        assert said in page
