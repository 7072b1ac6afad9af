from bench import payloads


def test_every_format_is_measured_at_every_stage(monkeypatch, capsys):
    monkeypatch.setattr(payloads, "EXCHANGES", 3)
    monkeypatch.setattr(payloads, "ROUNDS", 1)
    payloads.main()
    rows = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith(tuple(f"| {name}" for name in payloads.BODIES))]
    assert len(rows) == 3 * len(payloads.BODIES)
    assert all(float(row[2]) > 0 for row in rows)
