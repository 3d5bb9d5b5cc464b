from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from graft.core.jsonable import dumps, from_plain
from graft.models.table_features import TableFeatures, fit_table

NUMBERS = st.one_of(st.just(np.nan), st.floats(-1e6, 1e6))
NAMES = st.sampled_from(["north", "south", "(missing)", ""])
ROWS = st.lists(st.tuples(NUMBERS, NAMES), min_size=1, max_size=30)


def frame(rows: list[tuple[float, str]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["size", "shop"]).astype({"size": float, "shop": object})


@given(ROWS, ROWS)
def test_features_are_finite_and_those_of_training_rows_are_standardised(
    train: list[tuple[float, str]], other: list[tuple[float, str]]
) -> None:
    table = fit_table(frame(train), ("size",), ("shop",))
    for rows in (train, other):
        features = table.of(frame(rows))
        assert features.shape == (len(rows), len(table.names))
        assert features.dtype == np.float32
        assert np.isfinite(features).all()
    known = np.array([size for size, _ in train if not np.isnan(size)])
    column = table.of(frame(train))[:, 0]
    if known.size:
        assert abs(column.sum()) <= 1e-2 * len(train)
        spread = column[~np.isnan(frame(train)["size"].to_numpy())].std()
        assert np.isclose(spread, 1, atol=1e-3) or np.isclose(spread, 0, atol=1e-3)
        assert np.abs(table.of(frame(other))[:, 0]).max() <= 10
    names = [name for name in table.names if name.startswith("shop = ")]
    np.testing.assert_allclose(table.of(frame(train))[:, -len(names) :].sum(axis=1), 1)


@given(ROWS)
def test_a_table_survives_json(train: list[tuple[float, str]]) -> None:
    import json

    table = fit_table(frame(train), ("size",), ("shop",))
    assert from_plain(TableFeatures, json.loads(dumps(table))) == table


def test_what_training_rows_never_show_has_no_feature() -> None:
    table = fit_table(frame([(1.0, "north"), (3.0, "south")]), ("size",), ("shop",))
    assert table.names == ("size", "shop = north", "shop = south")
    assert table.of(frame([(np.nan, "east")])).tolist() == [[0, 0, 0]]


def test_a_missing_number_is_said_where_training_rows_lack_some() -> None:
    table = fit_table(frame([(1.0, "a"), (3.0, "a"), (np.nan, "a")]), ("size",), ())
    assert table.names == ("size", "size is missing")
    assert table.of(frame([(np.nan, "a"), (3.0, "a")])).tolist() == [[0, 1], [1, 0]]


def test_a_constant_column_is_zero() -> None:
    table = fit_table(frame([(2.0, "a")] * 3), ("size",), ())
    assert table.of(frame([(2.0, "a"), (3.0, "a")])).tolist() == [[0], [1]]


def test_without_columns_there_are_no_features() -> None:
    assert TableFeatures().of(frame([(1.0, "a")] * 3)).shape == (3, 0)
