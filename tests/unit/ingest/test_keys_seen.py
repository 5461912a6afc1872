import random

from pdms.ingest.seen import KeysSeen


def test_repeated_keys_are_found_within_and_across_batches():
    seen = KeysSeen()
    assert seen.add([]) == []
    assert seen.add(["a", "b", "a", "c", "a"]) == [2, 4]
    assert seen.add(["d", "b"]) == [1]
    assert seen.add([("x", 1), ("x", 2), ("x", 1)]) == [2]


def test_it_agrees_with_a_set():
    rng = random.Random(7)
    seen, known = KeysSeen(), set()
    for _ in range(40):
        batch = [rng.randrange(3000) for _ in range(rng.randrange(1, 200))]
        keys = [f"k{n}" for n in batch]
        expected = []
        for at, key in enumerate(keys):
            if key in known:
                expected.append(at)
            known.add(key)
        assert seen.add(keys) == expected
