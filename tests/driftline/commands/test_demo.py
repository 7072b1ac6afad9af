import argparse

import pytest

from driftline.commands import demo


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    demo.configure(parser)
    return parser.parse_args(arguments)


def test_a_minute_is_the_default():
    assert parsed().duration == 60


@pytest.mark.parametrize(("text", "expected"), [("5s", "at least 20s"), ("60", "a duration with its unit"), ("soon", "a duration with its unit")])
def test_a_duration_that_cannot_work_is_refused_with_what_was_expected(text, expected, capsys):
    with pytest.raises(SystemExit, match="2"):
        parsed("--duration", text)
    assert expected in capsys.readouterr().err


def test_missing_packages_are_one_sentence_with_the_command_that_installs_them(monkeypatch, capsys):
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name in {"rich", "sklearn"} else object())
    assert demo.run(parsed()) == 2
    assert capsys.readouterr().err == (
        "driftline demo: the demo needs packages that are not installed (rich, sklearn); install them with: pip install 'driftline[demo]'\n"
    )


def test_a_json_file_in_no_directory_is_refused_before_anything_starts(tmp_path, capsys):
    assert demo.run(parsed("--json", str(tmp_path / "missing" / "demo.json"))) == 2
    assert "there is no directory" in capsys.readouterr().err
