"""A process that runs trials: one after the other, until the time is up."""

import signal
import sys
import time
from pathlib import Path

from unroll import plugins
from unroll.errors import told_in_one_line
from unroll.pipelines.tuning.search import Search, finished, open_study, sampler, seconds_of, under_way
from unroll.serving.engine.quiet import import_tensorflow
from unroll.serving.processes.orphans import end_with_parent

_TRIALS = 20  # of a process: TensorFlow keeps something of every graph
LEFT = 3
"""Exit code: there is more to do, for a fresh process."""


def main() -> None:
    """`python -m unroll.pipelines.tuning.worker DIRECTORY NUMBER ENDS`, ENDS being the Unix time after which no trial
    begins or goes on."""
    with told_in_one_line():
        end_with_parent()
        # Ctrl-C reaches all processes of a terminal: the one that started this one ends it, and the trial can go on
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        directory, number, ends = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
        search = Search.load(directory)
        plugins.name_modules(search.modules)
        import_tensorflow()
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(search.threads)
        tf.config.threading.set_inter_op_parallelism_threads(search.threads)
        sys.exit(LEFT if _run(search, directory, number, ends) else 0)


def _run(search: Search, directory: Path, number: int, ends: float) -> bool:
    """Whether there is more to do."""
    from unroll.pipelines.tuning.trial import Trials

    trials, study = Trials(search, directory, ends), open_study(directory)
    for _ in range(_TRIALS):
        done = finished(study)
        if search.trials is not None and len(done) + len(under_way(study)) >= search.trials:
            return False
        if done and time.time() + seconds_of(done) > ends:
            return False
        study.sampler = sampler(search.settings["train"]["seed"], number, len(done))
        study.optimize(trials, n_trials=1)
    return True


if __name__ == "__main__":
    main()
