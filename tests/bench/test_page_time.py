from bench.page_time import Figures, Paged, is_kept, report


def test_the_latest_page_decides():
    figures = Figures(10.0, [Paged(4.6, 9.6), Paged(13.9, 18.9)])
    assert is_kept(figures)
    assert "18.9 s (promised: within 30), kept" in report(figures)
    late = Figures(10.0, [*figures.pages, Paged(25.0, 30.1)])
    assert not is_kept(late)
    assert "NOT kept" in report(late)
