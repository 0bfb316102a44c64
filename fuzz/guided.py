"""Fuzz what comes from a socket, guided by coverage: python -m fuzz.guided TARGET [-runs=N] [-seed=N] [-plain].

Targets: ``wire`` (fragments to messages) and ``patches`` (patches onto a document), see ``fuzz.targets``. Inputs start
as the valid messages of ``fuzz.seeds`` and are changed by ``fuzz.mutator``. atheris watches which branches of the core
an input reaches and goes on from those that reach new ones; all its flags work (``-max_total_time=3600``; a file plays
one input again). Where there is no atheris for this Python, or with ``-plain``, our own loop goes on from the inputs
that end in a new way. A failure leaves its input in a file ``crash-…`` of this folder, and ends with status 1.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import random
import resource
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

TARGETS = ("wire", "patches")
LONGEST = 4096  # bytes of an input
MOST = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + 512
"""Megabytes: what libFuzzer looks at counts what the process that has started this one took."""
FLAGS = (f"-max_len={LONGEST}", "-mutate_depth=1", f"-rss_limit_mb={MOST}", "-timeout=20", "-reduce_inputs=0")
RUNS = 100_000
EVERY = 10_000  # inputs to a line of how far it is
INSTRUMENTED = "bokeh_server.core"

Target = Callable[[bytes], tuple[str, ...]]


class Tally:
    """A target that counts what becomes of its inputs."""

    def __init__(self, name: str, target: Target, most: int) -> None:
        self.name = name
        self.target = target
        self.most = most
        self.runs = self.taken = 0

    def __call__(self, data: bytes) -> tuple[str, ...]:
        way = self.target(data)
        self.runs += 1
        self.taken += "taken" in way
        if self.runs % EVERY == 0 or self.runs == self.most:
            self.tell()
        return way

    def tell(self) -> None:
        """One line of what was done; the share that was taken says whether the mutator still makes sense."""
        print(f"{self.name}: {self.runs} inputs, {self.taken} of them with something taken", flush=True)


def with_atheris(name: str, flags: list[str]) -> None:
    """Run a target under atheris; never returns."""
    import atheris

    hooks = atheris.instrument_imports(include=[INSTRUMENTED])
    hooks._trace_dataflow = False  # operands of comparisons mean nothing to a mutator of our own, and cost a half
    with hooks:
        targets = importlib.import_module("fuzz.targets")
    mutator, seeds = (importlib.import_module(f"fuzz.{module}") for module in ("mutator", "seeds"))
    tally = Tally(name, getattr(targets, name), number_of(flags, "runs", 0))

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        made: bytes = mutator.mutated(data, most, seed, atheris.Mutate)
        return made

    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for number, seed in enumerate(seeds.seeds()):
            (Path(folder) / str(number)).write_bytes(seed)
        given = [flag for flag in flags if not flag.startswith("-")]
        atheris.Setup([name, *FLAGS, *flags, *([] if given else [folder])], tally, custom_mutator=mutate)
        atheris.Fuzz()


def plainly(name: str, runs: int, seed: int) -> None:
    """Run a target by our own loop: a corpus that grows by what ends in a new way."""
    from fuzz import mutator, seeds, targets

    tally, rng = Tally(name, getattr(targets, name), runs), random.Random(seed)
    corpus, seen = list(seeds.seeds()), set[tuple[str, ...]]()
    for number in range(runs):
        data = corpus[number] if number < len(corpus) else None
        if data is None:
            data = mutator.mutated(
                rng.choice(corpus), LONGEST, rng.getrandbits(32), lambda data, most: mutator.flipped(data, most, rng)
            )
        try:
            way = tally(data)
        except BaseException:
            crash = Path(f"crash-{hashlib.sha256(data).hexdigest()[:16]}")
            crash.write_bytes(data)
            print(f"{name}: failed; its input is in {crash}", file=sys.stderr)
            raise
        if way not in seen:
            seen.add(way)
            corpus.append(data)


def number_of(flags: list[str], flag: str, otherwise: int) -> int:
    """The number of ``-flag=N``."""
    values = [text.partition("=")[2] for text in flags if text.startswith(f"-{flag}=")]
    return int(values[-1]) if values else otherwise


def main(name: str, *flags: str) -> None:
    """Run one target."""
    warnings.simplefilter("ignore")
    given = [flag for flag in flags if flag != "-plain"]
    if "-plain" in flags or importlib.util.find_spec("atheris") is None:
        plainly(name, number_of(given, "runs", RUNS), number_of(given, "seed", random.SystemRandom().randrange(2**31)))
    else:
        with_atheris(name, given)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(__doc__)
    main(*sys.argv[1:])
