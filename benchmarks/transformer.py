"""How well a small vision transformer knows cats after so many passes: what docs/deep.md says of the recipe's parents.

    python benchmarks/transformer.py --layers 6 --epochs 6
    python benchmarks/transformer.py --layers 3 --epochs 20

One network of `vit_black_cat`'s is trained on pictures of cats as the recipe draws them; it is judged by the pictures
that its own sample left out, and by 1,000 more training pictures. No test picture is looked at.
"""

from __future__ import annotations

import argparse
import time

from composer import Images, Run, Split, auc
from composer_drawings import Drawings
from composer_training import Train
from composer_vit import ViT


def pictures(count: int, seed: int) -> Images:
    """Training pictures of cats: none shows a black cat."""
    source = Drawings.model_validate({"size": 32, "train": count})
    return source.load(Split(("black", "cat"), "cat"), Run(seed=seed))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    run = Run(seed=arguments.seed, pictures=(pictures(3000, arguments.seed - 2),))
    more = pictures(1000, arguments.seed + 72)
    network = ViT(layers=arguments.layers, width=32, heads=2)
    source = Train(architecture=network, members=1, epochs=arguments.epochs, learning_rate=0.002)
    started = time.process_time()
    known = source.load("cat", run)
    took = time.process_time() - started
    (apart,) = run.measured["held_out_auc"]
    (fresh,) = auc(known.log_odds(more).double().numpy(), more.labels["cat"])
    print(f"{took:.0f} s of a processor; AUC {apart:.3f} on what its sample left out, {fresh:.3f} on more pictures")


if __name__ == "__main__":
    main()
