"""The block on photographs of the frontier's page: benchmarks/frontier_photographs.py."""

from __future__ import annotations

from typing import Any

import frontier_photographs
from readme import AUC, HARDEST


def found(auc: float) -> dict[str, Any]:
    def arm(value: float, parameters: int) -> dict[str, Any]:
        score = {"picked": value, "interval": [value - 0.01, value + 0.01]}
        return {"parameters": parameters, "scores": {AUC: score, HARDEST: score}}

    own = {name: arm(0.8, 100) for name in frontier_photographs.TITLES}
    return {"compositions": {**own, "product": arm(0.95, 200), "distil": arm(auc, 150)}}


def test_the_block_says_what_the_numbers_say() -> None:
    stages = [{"name": "assemble.distil", "subject": "distil", "seconds": 9.0, "processor_seconds": 2.5}]
    adds = dict.fromkeys(frontier_photographs.TITLES, 5000)
    block = frontier_photographs.block(found(0.955), {"stages": stages}, adds)
    row = "| 0.955 (0.945 to 0.965) | 0.955 (0.945 to 0.965) | 150 | 5,000 | 2.5 |"
    assert f"| `distil`, the parents' body and one head {row}" in block
    assert (
        "| *the parent that knows cats* | 0.800 (0.790 to 0.810) | 0.800 (0.790 to 0.810) | 100 | 5,000 |  |" in block
    )
    assert "has 0.955, within the product's interval, with 0.75 times its" in " ".join(block.split())
    block = frontier_photographs.block(found(0.9), {"stages": stages}, adds)
    assert "has 0.900, outside of the product's interval" in " ".join(block.split())
