"""Normal forms: idempotent, never empty, blind to dress only."""

from hypothesis import given
from hypothesis import strategies as st

from graft.data.normal_form import normalise


@given(st.text())
def test_idempotent(text):
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1))
def test_never_empty(text):
    assert normalise(text)


def test_only_the_dress_is_taken_off():
    assert normalise("  I'm  HERE. ") == normalise("i m here")
    assert normalise("naïve") != normalise("naive")
    assert normalise("C++") != normalise("C")
    assert normalise(":)") != normalise(":(")
    assert normalise("की") != normalise("का")


@given(st.text(st.characters(codec="ascii")))
def test_plain_and_other_letters_are_treated_alike(text):
    assert normalise(text + "é") == normalise(normalise(text) + "é")
