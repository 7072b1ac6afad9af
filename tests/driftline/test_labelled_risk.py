import numpy as np
import pytest

from config.settings import Settings
from detectors.baseline import BaselineError
from driftline.labelled_risk import outcomes_of, pairs_from_store, pairs_of_columns, risk_of
from driftline.stored_exchanges import Period
from records.baseline import Loss
from records.exchange import Role
from store.clickhouse.client import EmbeddedStore
from tests.driftline.test_labelling import Setting, make_exchange


def test_labels_of_the_store_come_in_the_order_in_which_they_were_received(tmp_path):
    store = EmbeddedStore(tmp_path)
    with store.client() as client:
        setting = Setting(tmp_path, store, client)
        served = make_exchange("r-1", 1, 0, started_at_ns=5)
        shadow = make_exchange("r-1", 7, 7, arm="shadow", role=Role.SHADOW, started_at_ns=5, exchange_id=served.exchange_id)
        setting.store_exchanges(served, shadow, make_exchange("r-2", 2, started_at_ns=3), make_exchange("r-3", 3, started_at_ns=99), make_exchange("r-4"))
        setting.accept(
            {"request_id": "r-2", "label": 9}, {"request_id": "r-1", "label": [1, 8]}, {"request_id": "r-3", "label": 3}, {"request_id": "r-4", "label": 1}
        )
        setting.settle()
        setting.labelling.close()
    store.close()
    settings = Settings(data_dir=str(tmp_path))
    assert pairs_from_store(settings, Period("m", until_ns=50)) == [("2", "9"), ("1", "1"), ("0", "8")]
    assert pairs_from_store(settings, Period("m", since_ns=50)) == [("3", "3")]
    assert pairs_from_store(settings, Period("another")) == []
    with pytest.raises(BaselineError, match="no store"):
        pairs_from_store(Settings(data_dir=str(tmp_path / "none")), Period("m"))


def test_rows_of_a_table_need_both():
    columns = np.array([1.0, np.nan, 0.5, 3.0]), np.array(["1", "2", None, "3.0"], dtype=object)
    assert pairs_of_columns(*columns) == [("1", "1"), ("3", "3.0")]


def test_what_is_right_wrong_and_how_far_is_told_as_in_the_table_of_labels():
    wrong, errors = outcomes_of([("1", "true"), ("cat", "dog"), ("0.5", "2")])
    assert wrong.tolist() == [0, 1, 1]
    assert errors[[0, 2]].tolist() == [0, 1.5]
    assert np.isnan(errors[1])


def test_numbers_of_which_a_few_have_no_number_as_label_are_still_compared_by_distance():
    baseline = risk_of([("0.5", "1")] * 600 + [("0.5", "unknown")] * 100, source="test", created_at_ns=0)
    assert (baseline.loss, baseline.rows, baseline.bound, baseline.risk) == (Loss.ABSOLUTE_ERROR, 600, 0.5, 1.0)
