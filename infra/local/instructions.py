"""Compares counts on stdin (`stage TAB instructions`) with a file: `instructions.py FILE [--update]`. See `instructions` beside it."""

import pathlib
import sys

# A change of the code around a stage moves its count a little; what matters is more than that.
TOLERANCE = 0.05


def read(lines):
    return {stage: int(count) for stage, count in (line.rstrip("\n").split("\t") for line in lines)}


def main():
    path, found = pathlib.Path(sys.argv[1]), read(sys.stdin)
    if "--update" in sys.argv:
        path.write_text("".join(f"{stage}\t{count}\n" for stage, count in found.items()))
        return
    known, failed = read(path.read_text().splitlines()), False
    for stage in sorted(known.keys() | found.keys()):
        before, now = known.get(stage), found.get(stage)
        if before is None or now is None:
            print(f"{stage}: is {'not measured any more' if now is None else 'not in the file'}")
            failed = True
            continue
        change = now / before - 1
        verdict = "MORE" if change > TOLERANCE else "less" if change < -TOLERANCE else "ok"
        print(f"{stage:44} {before:>14,} {now:>14,} {change:+7.1%} {verdict}")
        failed |= verdict == "MORE"
        if verdict == "less":
            print(f"{stage} has become faster: run infra/local/instructions --update, so that it stays so")
    if failed:
        sys.exit(f"instructions differ from {path}; where that is meant: infra/local/instructions --update")


main()
