"""Cells of Python, run as a notebook runs them. It imports nothing of ours: what they import is all there is."""

import ast


def show(value: object) -> None:
    """What a notebook does with a cell's last value."""
    for method in ("_repr_html_", "_repr_png_"):
        if hasattr(value, method):
            assert getattr(value, method)()
            return
    repr(value)


def run(source: str, namespace: dict[str, object]) -> None:
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), namespace)
    if last:
        show(eval(compile(ast.Expression(last.value), "cell", "eval"), namespace))


def execute(cells: list[str], then: str) -> None:
    """Runs cells in one namespace, shows their last values, and then checks."""
    namespace: dict[str, object] = {}
    for source in (*cells, then):
        run(source, namespace)
