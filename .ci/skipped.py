"""Fail when more of the tests were skipped than the share in argv[1]; stdin: the closing line of pytest."""

import re
import sys

line = sys.stdin.read().strip()
counts = {word: int(n) for n, word in re.findall(r"(\d+) (passed|skipped|failed|errors?)", line)}
run, skipped = counts.get("passed", 0), counts.get("skipped", 0)
if not run or {"failed", "error", "errors"} & set(counts):
    sys.exit(f"not the closing line of a run that passed: {line!r}")
share = skipped / (run + skipped)
sys.stdout.write(f"{skipped} of {run + skipped} tests skipped: {share:.1%}\n")
sys.exit(share > float(sys.argv[1]))
