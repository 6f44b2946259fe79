"""`unroll tune`: a task's settings, searched for on the validation split."""

from unroll.pipelines.tuning.search_space import Choice, Floats, Integers, Sizes

__all__ = ["Choice", "Floats", "Integers", "Sizes"]
