from bench.published import PAGE, page


def test_the_page_shows_the_figures_of_the_runs_that_are_kept():
    text = PAGE.read_text()
    assert page(text) == text


def test_figures_that_were_typed_in_are_replaced():
    text = PAGE.read_text()
    head, _, rest = text.partition("<!-- figures: proxy -->\n")
    assert page(f"{head}<!-- figures: proxy -->\nfaster than light\n{rest[rest.index('<!-- end -->') :]}") == text
