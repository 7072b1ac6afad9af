from bench.explanation_picture import PAGE_IMAGE, drawn


def test_the_picture_in_the_docs_is_what_is_drawn_today():
    assert PAGE_IMAGE.read_text(encoding="utf-8") == drawn(), "run `python -m bench.explanation_picture`"
