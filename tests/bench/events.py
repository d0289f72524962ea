"""Deterministic events in the shape of attribute_events: `events.py FILE SHAPE MEGABYTES`.

SHAPE is `full` (about 900 bytes an event: nested source, a list of evidence) or `small` (about 300 bytes: no evidence). The same
arguments give the same bytes. Ids are integers, so that every engine can compute the bucket (`entity_id % 10`) at full speed.
10 days x 6 attributes x 10 buckets: 600 partitions.
"""

import json
import random
import sys

SEED = 20_240_101
DAYS = [f"2024-01-{day:02d}" for day in range(1, 11)]
ATTRIBUTES = ["cik", "date_added", "headquarters", "industry", "name", "sub_industry"]
WORDS = (
    "revenue filing annual report quarter company board update published sector index market list change member founded "
    "headquarters industry capital growth energy software health materials utility transport retail insurance banking chip"
).split()


def words(random_, count):
    return " ".join(random_.choices(WORDS, k=count))


def source(random_, length):
    return {
        "type": "git",
        "repo": "datasets/s-and-p-500-companies",
        "path": "data/constituents.csv",
        "commit": f"{random_.getrandbits(48):012x}",
        "author": random_.choice(WORDS),
        "message": words(random_, length),
    }


def evidence(random_):
    return {
        "source": random_.choice(["filing", "press", "registry"]),
        "url": f"https://example.org/{random_.getrandbits(64):016x}",
        "excerpt": words(random_, 40),
        "score": round(random_.random(), 4),
        "observed_at": f"{random_.choice(DAYS)}T{random_.randrange(24):02d}:{random_.randrange(60):02d}:00Z",
    }


def event(random_, number, shape):
    day = random_.choice(DAYS)
    full = shape == "full"
    row = {
        "event_id": f"{number:020x}",
        "entity_id": random_.randrange(5_000_000),
        "attribute_name": random_.choice(ATTRIBUTES),
        "op": "set",
        "value": words(random_, 3),
        "previous_value": words(random_, 3) if number % 4 else None,
        "created_at": f"{day}T{random_.randrange(24):02d}:{random_.randrange(60):02d}:{random_.randrange(60):02d}.{random_.randrange(1000):03d}Z",
    }
    if full:
        row["source"] = source(random_, 12)
        row["evidence"] = [evidence(random_)]
    else:
        row["source"] = {"type": "git", "commit": f"{random_.getrandbits(48):012x}", "message": words(random_, 4)}
    return row


def main():
    path, shape, megabytes = sys.argv[1], sys.argv[2], int(sys.argv[3])
    random_ = random.Random(SEED)
    size, number = 0, 0
    with open(path, "w", encoding="utf-8") as out:
        while size < megabytes * 1_000_000:
            line = json.dumps(event(random_, number, shape), separators=(",", ":")) + "\n"
            out.write(line)
            size += len(line)
            number += 1
    print(f"{path}: {number} events, {size / number:.0f} bytes each", file=sys.stderr)


main()
