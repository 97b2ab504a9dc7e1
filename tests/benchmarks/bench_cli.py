"""Start-up of the command line beside a bare interpreter (aims: --help under 0.3 s, spreads on a small lake under 1 s)."""

import os
import subprocess
import sys
import tempfile
import time

from fundingdb.simulator import Simulator, World


def best(*command: str, env: dict[str, str], tries: int = 5) -> float:
    seconds = []
    for _ in range(tries):
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, env=env)
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def main() -> None:
    python = sys.executable
    with tempfile.TemporaryDirectory() as home, Simulator(World(tokens=("BTC", "KAITO"))) as simulator:
        env = {**os.environ, **simulator.env(), "FUNDINGDB_WAREHOUSE": f"{home}/w"}
        tool = (python, "-m", "fundingdb")
        subprocess.run(
            [*tool, "backfill", "extended", "lighter", "--tokens", "BTC,KAITO", "--days", "10"],
            check=True,
            capture_output=True,
            env=env,
        )
        bare = best(python, "-c", "pass", env=env)
        for name, aim, args in (("--help", 0.3, ["--help"]), ("spreads", 1.0, ["spreads"])):
            seconds = best(*tool, *args, env=env)
            print(
                f"fundingdb {name}: {seconds:.3f} s (aim < {aim} s), {seconds / bare:.1f}x a bare interpreter ({bare:.3f} s)"
            )


if __name__ == "__main__":
    main()
