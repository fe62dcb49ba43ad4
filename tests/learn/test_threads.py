"""One thread for whatever becomes part of the state, on any machine and in any thread."""

from __future__ import annotations

import os
import subprocess
import sys

from instep.learn import blas_threads

SOLVE = """
import hashlib, threading
import numpy as np
from threadpoolctl import threadpool_limits
{before}
from instep.learn.dense import solve
rng = np.random.default_rng(0)
parts = rng.random((300, 300), np.float32)
grown = parts @ parts.T
def run():
    with threadpool_limits(3, user_api="blas"):
        weights = solve(grown, grown, parts)
    print(hashlib.blake2b(b"".join(each.tobytes() for each in weights)).hexdigest())
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def test_this_process_computes_with_one_thread() -> None:
    assert blas_threads() == 1


def test_the_regressions_have_the_same_bits_whatever_the_machine_and_other_threads_set() -> None:
    found = set()
    for threads, before in (("1", ""), ("2", ""), ("4", "threadpool_limits(4, user_api='blas')")):
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
        code = SOLVE.format(before=before)
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1
