"""How TensorFlow spreads a graph's ops over threads."""

from dataclasses import dataclass
from typing import Any

from unroll.serving.engine.tensorflow_runtime import config_pb2


@dataclass(frozen=True)
class Parallelism:
    """The settings of a session that decide how fast a graph runs, and on how many cores.

    Args:
        executor: `executors.SINGLE_THREADED` or `executors.DEFAULT`; None: the one that is faster in one thread, of
            those that can run the graph.
        intra_op: threads within one op; 0: one a core. One is fastest for recurrent steps, which are small.
        inter_op: threads across ops; 0: one a core; -1: all ops run in the calling thread.
        only_alone: whether the threads across ops are for runs that have the engine to themselves. Runs beside others
            stay in their calling threads: together these take all cores, without a change of threads for each op.
    """

    executor: str | None = None
    intra_op: int = 1
    inter_op: int = -1
    only_alone: bool = False

    def config(self, others: Any = None) -> Any:
        """A session's ConfigProto.

        Args:
            others: a ConfigProto of what else there is to set; None for TensorFlow's own.
        """
        config = config_pb2.ConfigProto(allow_soft_placement=True)
        config.gpu_options.allow_growth = True
        # Of what TensorFlow does to a graph before its first run, these take half the time and gain nothing by it.
        rewriting = config.graph_options.rewrite_options
        rewriting.memory_optimization = rewriting.NO_MEM_OPT
        rewriting.disable_tfg_optimizer = True
        if others is not None:
            config.MergeFrom(others)
        config.intra_op_parallelism_threads = self.intra_op
        config.inter_op_parallelism_threads = min(self.inter_op, 0)
        if self.inter_op >= 0:
            config.session_inter_op_thread_pool.add(num_threads=self.inter_op)
        if self.executor is not None and not config.experimental.executor_type:
            config.experimental.executor_type = self.executor
        return config
