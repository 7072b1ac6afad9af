import numpy as np

from detectors.total_variation import TotalVariation


def test_total_variation_is_the_share_of_rows_that_would_have_to_move():
    assert np.isclose(TotalVariation()(np.array([0.1, 0.9, 0.0]), np.array([0.4, 0.4, 0.2])), 0.5)
