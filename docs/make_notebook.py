"""Runs docs/notebook.ipynb and writes what its cells give anew: `python docs/make_notebook.py`.

The notebook itself is edited in Jupyter or by hand. Nothing of Jupyter is needed to run it here.
"""

from __future__ import annotations

import ast
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent / "notebook.ipynb"
Cell = dict[str, Any]


def read() -> dict[str, Any]:
    """The notebook as JSON."""
    notebook: dict[str, Any] = json.loads(PAGE.read_text(encoding="utf-8"))
    return notebook


def executed(cells: Sequence[Mapping[str, Any]], folder: Path) -> list[Cell]:
    """The cells with what each gives, run one after the other in a folder, as Jupyter does: a last value is shown."""
    names: dict[str, Any] = {"__name__": "__main__"}
    done: list[Cell] = []
    with chdir(folder):
        for cell in cells:
            if cell["cell_type"] != "code":
                done.append(dict(cell))
                continue
            count = 1 + sum(other["cell_type"] == "code" for other in done)
            outputs = _outputs("".join(cell["source"]), names, count)
            done.append({**cell, "execution_count": count, "outputs": outputs})
    return done


def _outputs(source: str, names: dict[str, Any], count: int) -> list[Cell]:
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(io.StringIO()):
        exec(compile(tree, "<cell>", "exec"), names)
        value = None if last is None else eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    outputs: list[Cell] = []
    if printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": _lines(printed.getvalue())})
    if value is not None:
        shown = {"execution_count": count, "metadata": {}, "output_type": "execute_result"}
        outputs.append({"data": _data(value), **shown})
    return outputs


def _data(value: Any) -> dict[str, list[str]]:
    data = {"text/plain": _lines(repr(value))}
    if hasattr(value, "_repr_html_"):
        data["text/html"] = _lines(value._repr_html_())
    return data


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main() -> None:
    notebook = read()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["COMPOSER_STORE"] = str(Path(folder) / "store")
        notebook["cells"] = executed(notebook["cells"], Path(folder))
    PAGE.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
