#!/usr/bin/env python3
"""Adds up test results.

sum.py NAME TESTLOG.json   one line for a run of meson tests: "NAME: N passed, N failed, N skipped".
                           Each test counts by the "N passed, N failed" line that it prints itself; a
                           test that printed none, or died, counts as one.
sum.py --total FILE        the sum over such lines, as "N passed, N failed"; exit 1 if any failed.
"""
import json
import re
import sys

LINE = re.compile(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$", re.M)


def last_sum(text):
    found = LINE.findall(text or "")
    return tuple(int(n or 0) for n in found[-1]) if found else None


def of_run(path):
    total = [0, 0, 0]
    failures = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            test = json.loads(line)
            passed, failed, skipped = last_sum(test.get("stdout")) or (0, 0, 0)
            if test["result"] == "SKIP":
                skipped = max(1, skipped)
            elif test["result"] in ("OK", "EXPECTEDFAIL"):
                if passed + failed + skipped == 0:
                    passed = 1
            elif failed == 0:
                failed = 1
            if failed:
                failures.append(test)
            total = [a + b for a, b in zip(total, (passed, failed, skipped))]
    for test in failures:
        print(f"--- {test['name']}: {test['result']}", file=sys.stderr)
        text = (test.get("stdout") or "") + (test.get("stderr") or "")
        print("\n".join(text.splitlines()[-60:]), file=sys.stderr)
    return total


def main():
    if sys.argv[1] == "--total":
        total = [0, 0, 0]
        with open(sys.argv[2], encoding="utf-8") as lines:
            for line in lines:
                total = [a + b for a, b in zip(total, last_sum(line) or (0, 0, 0))]
        skipped = f", {total[2]} skipped" if total[2] else ""
        print(f"{total[0]} passed, {total[1]} failed{skipped}")
        sys.exit(1 if total[1] or not total[0] else 0)
    passed, failed, skipped = of_run(sys.argv[2])
    print(f"{sys.argv[1]}: {passed} passed, {failed} failed, {skipped} skipped")


main()
