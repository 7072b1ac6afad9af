from prometheus_client.parser import text_string_to_metric_families as parse


async def test_each_process_shows_what_it_takes(up, upstream) -> None:
    service = await up("--upstream", upstream.url, "--workers", "2")
    samples = [sample for family in parse(await service.metrics()) for sample in family.samples if sample.name.startswith("process_")]
    assert {(sample.labels["component"], int(sample.labels["pid"])) for sample in samples} == {
        ("monitor", service.monitor()),
        *(("worker", pid) for pid in service.workers()),
    }
    of_worker = {sample.name: sample.value for sample in samples if sample.labels["pid"] == str(service.workers()[0])}
    assert 10_000_000 < of_worker["process_resident_memory_bytes"] < 2_000_000_000
    assert 0 < of_worker["process_cpu_seconds_total"] < 60
    assert 3 < of_worker["process_open_fds"] < of_worker["process_max_fds"]  # at least one beyond the standard three
