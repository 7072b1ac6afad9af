from bench import privacy


def test_every_rule_is_measured_on_every_size(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(privacy, "ROUNDS", 1)
    monkeypatch.setattr(privacy, "ROUND_SECONDS", 1e-5)
    figures = privacy.measure()
    assert [figure.rule for figure in figures] == [case.name for case in privacy.CASES]
    assert all(cost > 0 for figure in figures for cost in figure.microseconds.values())
    assert privacy.report(figures).count("\n") == len(privacy.CASES) + 1


def test_every_rule_is_measured_on_a_body_that_it_changes():
    for case in privacy.CASES:
        policy = privacy.Policy(privacy.RouteSettings(upstream=(), **case.settings), privacy._HASHER)
        record = privacy.record(case, 1_000)
        assert 900 < len(record.request.content) < 1_200 or case.binary
        kept = policy.kept(record)
        assert kept.not_kept == []
        assert kept.exchange != record
