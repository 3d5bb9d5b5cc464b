"""The census of collated batches, on batches built by hand."""

from __future__ import annotations

import pytest
import torch

import foreign_models as foreign
from graft.tasks.supervised_tokens import (
    IGNORED,
    Rules,
    count_rows,
    count_tokens,
    segments,
    special_tokens,
)

TOKENIZER = foreign.chat_tokenizer()
TOKENS = special_tokens(TOKENIZER)


def ids(text):
    return TOKENIZER(text, add_special_tokens=False)["input_ids"]


def batch(*texts, answers_only=False, pad_to=None):
    """Return a padded batch; with `answers_only` what stands before `<assistant>` is ignored."""
    rows = [ids(text) for text in texts]
    width = max(*map(len, rows), pad_to or 0)
    opening = TOKENIZER.convert_tokens_to_ids("<assistant>")
    batch = {name: [] for name in ("input_ids", "attention_mask", "labels")}
    for row in rows:
        rest = [TOKENIZER.pad_token_id] * (width - len(row))
        start = row.index(opening) + 1 if answers_only else 0
        batch["input_ids"].append(row + rest)
        batch["attention_mask"].append([1] * len(row) + [0] * len(rest))
        batch["labels"].append([IGNORED] * start + row[start:] + [IGNORED] * len(rest))
    return {name: torch.tensor(values) for name, values in batch.items()}


CHAT = "<s> <user> red1 red2 <assistant> red red </s>"
LONG = "<s> <user> red1 red2 red3 red4 <assistant> blue red </s>"
COUNTS = (
    "rows_without_loss", "ends_missing", "answers_cut", "prompts_supervised", "doubled_starts",
    "shifted_labels", "template_supervised", "empty_rows", "truncated_rows",
)  # fmt: skip


def wrong(census):
    return {name for name in COUNTS if getattr(census, name)}


def test_the_template_and_the_ends_are_read_from_the_tokenizer():
    assert TOKENS.opening == tuple(ids("<assistant>"))
    assert TOKENS.ends == {TOKENIZER.eos_token_id}
    assert TOKENS.unknown == TOKENIZER.unk_token_id


@pytest.mark.parametrize("answers_only", [True, False])
def test_a_healthy_chat_has_nothing_wrong(answers_only):
    rows = batch(CHAT, LONG, answers_only=answers_only)
    census = count_tokens([rows, rows], TOKENS, Rules("causal", answers_only, limit=64))
    assert wrong(census) == set()
    assert (census.rows, census.tokens) == (4, 2 * (8 + 10))
    assert census.units == (4 * 3 if answers_only else census.tokens)


def test_padding_changes_no_count():
    rules = Rules("causal", answers_only=True)
    short, wide = (batch(CHAT, answers_only=True, pad_to=width) for width in (None, 20))
    assert count_tokens([short], TOKENS, rules) == count_tokens([wide], TOKENS, rules)


def changed(rows, change):
    labels = rows["labels"].clone()
    change(labels, rows["input_ids"])
    return {**rows, "labels": labels}


def ignore_everything(labels, inputs):
    labels[:] = IGNORED


def ignore_the_end(labels, inputs):
    labels[inputs == TOKENIZER.eos_token_id] = IGNORED


def shift(labels, inputs):
    labels[:, :-1] = inputs[:, 1:]
    labels[:, -1] = IGNORED


def supervise_everything(labels, inputs):
    labels[:] = inputs


FAULTS = {
    "no label": (ignore_everything, {"rows_without_loss"}),
    "no end": (ignore_the_end, {"ends_missing"}),
    "prompt": (supervise_everything, {"prompts_supervised", "template_supervised"}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_of_the_labels_is_counted(name):
    change, expected = FAULTS[name]
    rows = changed(batch(CHAT, answers_only=True), change)
    census = count_tokens([rows], TOKENS, Rules("causal", answers_only=True))
    assert wrong(census) == expected
    assert all(census.examples[count] == ("0",) for count in expected)


def test_labels_that_are_shifted_already_are_counted():
    census = count_tokens([changed(batch(CHAT), shift)], TOKENS, Rules("causal"))
    assert "shifted_labels" in wrong(census)


def test_a_text_of_one_repeated_token_is_not_taken_for_shifted():
    census = count_tokens([batch("<s> red red red red </s>")], TOKENS, Rules("causal"))
    assert census.shifted_labels == 0


def test_a_row_that_fills_the_limit_without_an_end_is_cut():
    cut = LONG.removesuffix(" red </s>")
    rules = Rules("causal", limit=8, whole=True)
    assert wrong(count_tokens([batch(cut)], TOKENS, rules)) == {"answers_cut", "truncated_rows"}
    assert wrong(count_tokens([batch(CHAT)], TOKENS, rules)) == set()


def test_pieces_of_longer_texts_are_not_cut():
    piece = "red1 red2 red3 red4 red5 red6 red7 red8"
    assert wrong(count_tokens([batch(piece)], TOKENS, Rules("causal", limit=8))) == set()
    cut = LONG.removesuffix(" red </s>")
    assert wrong(count_tokens([batch(cut)], TOKENS, Rules("causal", limit=8, whole=False))) == set()


def test_a_doubled_start_is_counted():
    assert wrong(count_tokens([batch(f"<s> {CHAT}")], TOKENS, Rules("causal"))) == {
        "doubled_starts"
    }


def test_packed_rows_are_told_apart():
    rows = {"input_ids": torch.tensor([ids(CHAT) + ids(LONG)])}
    rows["labels"] = rows["input_ids"].clone()
    rows["position_ids"] = torch.tensor([[*range(8), *range(10)]])
    assert segments(rows, 0) == [0, 8, 18]
    census = count_tokens([rows], TOKENS, Rules("causal", limit=64))
    assert (census.rows, wrong(census)) == (2, set())


def test_a_short_row_without_a_masked_word_is_no_fault():
    rows = batch("red1 red2", "red3 red4")
    rows["labels"][0] = IGNORED
    assert wrong(count_tokens([rows], TOKENS, Rules("masked"))) == set()
    assert wrong(count_tokens([changed(rows, ignore_everything)], TOKENS, Rules("masked"))) == {
        "rows_without_loss"
    }


def test_classes_of_tokens_are_counted():
    rows = batch("red1 red2", "red3 red4")
    rows["labels"] = torch.tensor([[0, 1], [IGNORED, 1]])
    census = count_tokens([rows], TOKENS, Rules("classes"))
    assert census.labels == {"0": 1, "1": 2}
    assert (census.units, census.ends_missing) == (3, None)


def test_the_decoder_side_is_looked_at_where_labels_are_a_text_of_their_own():
    rows = {name: batch("red1 red2 red3")[name] for name in ("input_ids", "attention_mask")}
    for answer, expected in (("red </s>", set()), ("red red", {"ends_missing"})):
        rows["labels"] = torch.tensor([ids(answer)])
        assert wrong(count_tokens([rows], TOKENS, Rules("sequence"))) == expected


def test_labels_of_whole_rows_are_counted():
    rows = batch("red1 red2", "<s> </s>", "red3 wort")
    rows["labels"] = torch.tensor([1, 0, IGNORED])
    census = count_rows([rows], TOKENS, limit=2)
    assert census.labels == {"0": 1, "1": 1}
    assert (census.rows, census.units, census.rows_without_loss) == (3, 2, 1)
    assert (census.empty_rows, census.truncated_rows, census.unknown_tokens) == (1, 3, 1)


def test_pairs_are_rows_with_two_texts():
    one, two = batch("red1 red2"), batch("red3")
    rows = {f"a_{name}": one[name] for name in ("input_ids", "attention_mask")}
    rows |= {f"b_{name}": two[name] for name in ("input_ids", "attention_mask")}
    rows["label"] = torch.tensor([0.5])
    census = count_rows([rows], TOKENS, "pairs")
    assert (census.rows, census.tokens, census.labels) == (1, 3, {"0.5": 1})


def test_batches_without_texts_are_counted_by_their_first_tensor():
    census = count_rows([{"0": torch.ones(3, 2), "1": torch.ones(3)}], None)
    assert (census.rows, census.units, census.tokens) == (3, 3, 0)
