import pytest

from bench.published import PAGES, page


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_shows_the_figures_of_the_runs_that_are_kept(path):
    text = path.read_text()
    assert "<!-- figures: " in text
    assert page(text) == text


def test_figures_that_were_typed_in_are_replaced():
    text = PAGES[0].read_text()
    head, _, rest = text.partition("<!-- figures: proxy -->\n")
    assert page(f"{head}<!-- figures: proxy -->\nfaster than light\n{rest[rest.index('<!-- end -->') :]}") == text
