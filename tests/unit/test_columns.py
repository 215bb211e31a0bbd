"""Rows as arrays: a column of nulls costs nothing."""

from app.store.columns import columns_of


def test_each_column_is_a_list_and_one_of_nothing_but_nulls_is_null() -> None:
    assert columns_of([(1, None, None), (2, None, "b")]) == [[1, 2], None, [None, "b"]]
