from bench import payloads


def test_every_format_is_measured_at_every_stage(monkeypatch, capsys):
    monkeypatch.setattr(payloads, "EXCHANGES", 3)
    monkeypatch.setattr(payloads, "ROUNDS", 1)
    payloads.main([])
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith(tuple(f"| {name}" for name in payloads.EXAMPLES))]
    assert len(rows) == len(payloads.EXAMPLES)
    assert all(float(figure) > 0 for row in rows for figure in row[3:6])
