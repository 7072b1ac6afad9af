"""Random life of a spool against a small model: what was appended, what was damaged, what the loader acknowledged."""

import math
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from records.metrics import DropReason
from store.spool.counts import take_stock
from store.spool.cursor import Cursor
from store.spool.encryption import Keyring
from store.spool.evict import Bounds, evict
from store.spool.format import SEGMENT_HEADER_BYTES, FrameKind
from store.spool.listing import spool_bytes
from store.spool.reader import SpoolReader
from store.spool.retire import retire
from store.spool.state import LoaderState, add_counts, read_state, write_state
from store.spool.tail import Frame
from tests.store.spool.workers import SEGMENT_BYTES, Worker, acknowledge

KEYS = Keyring([("a", bytes(32))])
fractions = st.floats(0, 1, exclude_max=True)


def pick(items, fraction):
    return items[int(fraction * len(items))]


class Generation:
    """A worker, and what became of its records by the model's own count."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.refused = 0
        self.damaged: set[int] = set()
        self.given_up: dict[int, DropReason] = {}
        self.touched = False
        self.torn = 0
        self.evicted = False

    @property
    def accepted(self) -> int:
        return len(self.worker.payloads)

    def used(self) -> list[int]:
        """Segments that were begun and are still there."""
        return [index for index in range(1, self.worker.writer._index + 1) if self.worker.path(index).exists()]

    def records(self, segment: int) -> list[int]:
        return [place.sequence for place in self.worker.places if place.segment == segment and place.kind is FrameKind.RECORD]

    def damage(self, segment: int, begin: int, end: int) -> None:
        self.touched = True
        if self.worker.writer._overhead and begin < SEGMENT_HEADER_BYTES:  # where the key is named: without it nothing can be decrypted
            end = SEGMENT_BYTES
        hit = [place for place in self.worker.places if place.segment == segment and place.begin < end and begin < place.end]
        self.damaged.update(place.sequence for place in hit if place.kind is FrameKind.RECORD)


class SpoolLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.spool = Path(tempfile.mkdtemp(prefix="driftline-spool-"))
        self.state_file = self.spool / "loader.state"
        self.generations: dict[str, Generation] = {}
        self.unlinked: set[Path] = set()
        self.stored: Counter[tuple[str, int]] = Counter()
        self.passed: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.detectors = SpoolReader(self.spool, {}, KEYS)
        self.detectors_cursors: dict[str, Cursor] = {}
        self.begin_loader()

    def begin_loader(self) -> None:
        self.state = read_state(self.state_file, LoaderState) or LoaderState()
        self.loader = SpoolReader(self.spool, self.state.cursors, KEYS)
        self.frames: list[Frame] = []
        self.cursors = dict(self.state.cursors)
        self.batch_lost: dict[str, dict[str, int]] = {}

    def living(self) -> list[Generation]:
        return [generation for generation in self.generations.values() if generation.worker.alive]

    def present(self) -> list[Generation]:
        return [generation for generation in self.generations.values() if generation.worker.directory.exists()]

    @initialize(damaging=st.booleans(), encrypting=st.booleans(), records=st.integers(0, 100))
    def begin(self, damaging, encrypting, records) -> None:
        self.damaging = damaging
        self.encrypting = encrypting
        self.start_worker()
        self.append(0.0, [150] * records)

    @precondition(lambda self: len(self.living()) < 3)
    @rule()
    def start_worker(self) -> None:
        name = f"w{len(self.generations):03d}"
        self.generations[name] = Generation(Worker(self.spool, name, max_bytes=24 * SEGMENT_BYTES, thread=False, keys=KEYS if self.encrypting else None))

    @precondition(lambda self: self.living())
    @rule(who=fractions, sizes=st.lists(st.integers(0, 700) | st.just(3 * SEGMENT_BYTES), min_size=1, max_size=12))
    def append(self, who, sizes) -> None:
        generation = pick(self.living(), who)
        for size in sizes:
            sequence = generation.worker.append(size)
            generation.refused += not sequence
            if sequence and generation.worker.path(generation.worker.place(sequence).segment) in self.unlinked:
                generation.damaged.add(sequence)

    @precondition(lambda self: self.living())
    @rule(who=fractions, which=fractions)
    def amend(self, who, which) -> None:
        generation = pick(self.living(), who)
        if generation.accepted:
            generation.worker.amend(1 + int(which * generation.accepted))

    @precondition(lambda self: self.living())
    @rule(who=fractions, torn_bytes=st.integers(0, 120))
    def kill(self, who, torn_bytes) -> None:
        generation = pick(self.living(), who)
        generation.torn = generation.worker.die(torn_bytes=torn_bytes)

    @precondition(lambda self: self.damaging and self.present())
    @rule(who=fractions, where=fractions, at=fractions, count=st.integers(1, 300))
    def corrupt(self, who, where, at, count) -> None:
        generation = pick(self.present(), who)
        used = generation.used()
        if used:
            segment = pick(used, where)
            end = generation.worker.writer._offset if segment == generation.worker.writer._index else SEGMENT_BYTES
            begin = int(at * end)
            generation.damage(segment, begin, min(begin + count, end))
            generation.worker.corrupt(segment, begin, min(count, end - begin))

    @precondition(lambda self: self.damaging and self.present())
    @rule(who=fractions, where=fractions)
    def delete_segment(self, who, where) -> None:
        generation = pick(self.present(), who)
        paths = sorted(generation.worker.directory.glob("*.segment"))
        if paths:
            path = pick(paths, where)
            path.unlink()
            self.unlinked.add(path)
            generation.damage(int(path.stem), SEGMENT_HEADER_BYTES, SEGMENT_BYTES)

    @precondition(lambda self: self.damaging and self.present())
    @rule(who=fractions, where=fractions, at=fractions)
    def cut_segment_of_a_dead_writer(self, who, where, at) -> None:
        generation = pick(self.present(), who)
        used = generation.used()
        if used and not generation.worker.alive:
            segment = pick(used, where)
            size = generation.worker.path(segment).stat().st_size
            with generation.worker.path(segment).open("r+b") as file:
                file.truncate(int(at * size))
            generation.damage(segment, int(at * size), SEGMENT_BYTES)

    @rule(max_frames=st.integers(1, 40), max_bytes=st.integers(1, 20_000))
    def read(self, max_frames, max_bytes) -> None:
        batch = self.loader.read(max_frames, max_bytes)
        assert len(batch.frames) <= max_frames
        self.frames += batch.frames
        self.cursors = batch.cursors
        for writer, counts in batch.lost.items():
            self.batch_lost[writer] = add_counts(self.batch_lost.get(writer, {}), counts)

    @rule()
    def acknowledge(self) -> None:
        for writer, cursor in self.cursors.items():
            before = self.state.cursors.get(writer, Cursor()).sequence
            self.check_passed(writer, before, cursor.sequence)
        self.state = acknowledge(self.state, self.frames, self.cursors, self.batch_lost)
        write_state(self.state_file, self.state)
        self.frames, self.batch_lost = [], {}

    def check_passed(self, writer: str, before: int, after: int) -> None:
        """What a batch passes was either delivered, in order and unchanged, or damaged or given up and counted as lost."""
        generation = self.generations[writer]
        records = [frame for frame in self.frames if frame.writer == writer and frame.kind == FrameKind.RECORD]
        delivered = [frame.sequence for frame in records]
        missing = set(range(before + 1, after + 1)) - set(delivered)
        assert delivered == sorted(set(delivered))
        assert all(before < sequence <= after for sequence in delivered)
        assert all(frame.payload == generation.worker.payloads[frame.sequence] for frame in records)
        assert missing <= generation.damaged | generation.given_up.keys()
        lost = {reason: count for reason, count in self.batch_lost.get(writer, {}).items() if count}
        assert len(missing) == sum(lost.values())
        if not generation.touched:
            assert lost == Counter(generation.given_up.get(sequence, DropReason.CORRUPT) for sequence in missing)
        self.stored.update((writer, sequence) for sequence in delivered)
        self.passed[writer] += after - before
        self.lost[writer] += len(missing)

    @rule()
    def intend(self) -> None:
        """Begin to insert what was read; the loader may die at it."""
        read: dict[str, list[int]] = {}
        for frame in self.frames:
            read.setdefault(frame.writer, []).append(frame.sequence)
        self.state = self.state.intending({writer: (min(sequences), max(sequences)) for writer, sequences in read.items()})
        write_state(self.state_file, self.state)

    @rule(max_segments=st.integers(0, 12), drop_oldest=st.booleans(), expire=st.booleans())
    def make_room(self, max_segments, drop_oldest, expire) -> None:
        bounds = Bounds(max_bytes=max_segments * SEGMENT_BYTES, drop_oldest=drop_oldest, max_age_seconds=-1e9 if expire else math.inf)
        before = {path for generation in self.present() for path in generation.worker.directory.glob("*.segment")}
        evict(self.spool, bounds, self.loader, lambda: self.state, self.detectors_cursors, now_seconds=time.time())
        in_hand = {(frame.writer, frame.sequence) for frame in self.frames if frame.kind == FrameKind.RECORD}
        for path in (path for path in before if not path.exists()):
            self.check_evicted(path, in_hand, may_lose=drop_oldest or expire)
            generation = self.generations[path.parent.name]
            reason = DropReason.EXPIRED if expire else DropReason.SPOOL_FULL
            generation.evicted = True
            generation.given_up |= dict.fromkeys(generation.records(int(path.stem)), reason)
        nothing_held = self.cursors == self.state.cursors and not self.state.intent and not self.living()
        if drop_oldest and nothing_held and not any(generation.touched for generation in self.generations.values()):
            assert spool_bytes(self.spool) <= max_segments * SEGMENT_BYTES

    def check_evicted(self, path: Path, in_hand: set[tuple[str, int]], *, may_lose: bool) -> None:
        """What was given up was not being written, nor held by the loader, nor perhaps in the store."""
        generation = self.generations[path.parent.name]
        assert not generation.worker.alive or int(path.stem) < generation.worker.writer._index
        if generation.touched:
            return
        records = generation.records(int(path.stem))
        acknowledged = self.state.cursors.get(generation.worker.name, Cursor()).sequence
        first, last = self.state.intent.get(generation.worker.name, (1, 0))
        assert not in_hand & {(generation.worker.name, sequence) for sequence in records}
        assert not [sequence for sequence in records if max(first, acknowledged + 1) <= sequence <= last]
        assert may_lose or not [sequence for sequence in records if sequence > acknowledged]

    @rule()
    def kill_loader(self) -> None:
        self.loader.close()
        self.begin_loader()

    @rule(max_frames=st.integers(1, 200), max_lag_segments=st.integers(0, 12))
    def detect(self, max_frames, max_lag_segments) -> None:
        self.detectors.skip_to_bound(max_lag_segments * SEGMENT_BYTES)
        self.detectors_cursors = self.detectors.read(max_frames, 1 << 20).cursors

    @rule()
    def retire(self) -> None:
        retire(self.spool, self.state, self.detectors_cursors, now_seconds=0)

    @invariant()
    def counts_are_the_models(self) -> None:
        counts = take_stock(self.spool, self.state).counts
        generations = self.generations.values()
        accepted, refused = sum(generation.accepted for generation in generations), sum(generation.refused for generation in generations)
        assert counts.captured == accepted + refused
        assert counts.stored == len(self.stored)
        assert counts.dropped_total == refused + self.lost.total()
        assert counts.pending == accepted - self.passed.total()
        assert counts.conserved
        assert counts.torn <= sum(generation.torn or generation.touched for generation in generations)

    def teardown(self) -> None:
        for generation in self.living():
            generation.torn = generation.worker.die()
        for _ in range(2):
            while self.read_on():
                pass
            self.acknowledge()
            self.detect(1 << 20, 1 << 20)
            self.retire()
        self.counts_are_the_models()
        counts = take_stock(self.spool, self.state).counts
        assert counts.pending == 0
        assert not self.present()
        assert set(self.stored.values()) <= {1}
        for generation in self.generations.values():
            wanted = {
                (generation.worker.name, sequence) for sequence in generation.worker.payloads if sequence not in generation.damaged | generation.given_up.keys()
            }
            assert wanted <= set(self.stored)
        if not any(generation.touched or generation.evicted for generation in self.generations.values()):
            assert counts.torn == sum(generation.torn for generation in self.generations.values())
        self.loader.close()
        self.detectors.close()
        shutil.rmtree(self.spool)

    def read_on(self) -> bool:
        before = self.cursors
        self.read(1000, 1 << 20)
        return self.cursors != before


SpoolLife.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestSpoolLife = SpoolLife.TestCase
