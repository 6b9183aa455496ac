"""Seconds that a search of clusters' options takes on 400 pictures with 400 features, without UMAP, on one thread.

python benchmarks/clustering_seconds.py
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from threadpoolctl import threadpool_limits

from composer import ComposedModel, Population, Preprocessing, Run
from composer_clustering import Tuned
from composer_clustering.evaluation import Spaces
from composer_clustering.naming import Beliefs
from composer_clustering.tuning import choose
from composer_cnn import CNN

PICTURES, FEATURES, GROUPS = 400, 400, 4
OBJECTIVES = ("parents", "silhouette", "stability", "surrogate")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=40)
    options = parser.parse_args(argv)
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(GROUPS), PICTURES // GROUPS)
    features = rng.normal(size=(PICTURES, FEATURES)) + 0.6 * rng.normal(size=(GROUPS, FEATURES))[group]
    beliefs = Beliefs(np.where(group == 0, 2.0, -2.0) + rng.normal(size=PICTURES), rng.normal(size=(2, PICTURES)))
    nobody = _nobody()
    with threadpool_limits(limits=1):
        for by in ("random", "optuna"):  # what is imported first
            choose(Tuned(by=by, objective="surrogate", trials=2), features, Spaces(nobody, Run()), Run(), None, beliefs)
        for by in ("random", "optuna"):
            for objective in OBJECTIVES:
                started, worked = time.monotonic(), time.process_time()
                tuned = Tuned.model_validate({"by": by, "objective": objective, "trials": options.trials})
                found = choose(tuned, features, Spaces(nobody, Run()), Run(), None, beliefs)
                tried = sum(len(one.found.tried) for one in found)
                seconds = time.process_time() - worked, time.monotonic() - started
                print(
                    f"{by}, {objective}: {tried} trials, {seconds[0]:.1f} s of processor, {seconds[1]:.1f} s",
                    flush=True,
                )


def _nobody() -> ComposedModel:
    """A model that is never asked: the features are given."""
    population = Population("black", CNN(), {}, ("nobody",), Preprocessing(size=32))
    return ComposedModel((population,), population.members)


if __name__ == "__main__":
    main()
