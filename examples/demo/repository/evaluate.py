"""Measure a model on `test.npz`: write its accuracy, and refuse one that is too bad."""

import argparse
from pathlib import Path

from digits import Model, Split


def main() -> None:
    """Write the accuracy as a number between 0 and 1; exit with 1 where it is below the minimum."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with test.npz")
    parser.add_argument("--model", type=Path, required=True, help="folder with model.npz")
    parser.add_argument("--output", type=Path, required=True, help="file for the accuracy")
    parser.add_argument("--minimum", type=float, default=0.0)
    options = parser.parse_args()

    test = Split.load(options.data / "test.npz")
    right = Model.load(options.model / "model.npz").predict(test.images) == test.labels
    accuracy = float(right.mean())
    print(f"{int(right.sum())} of {right.size} digits recognized: accuracy {accuracy:.4f}")
    if accuracy < options.minimum:
        parser.exit(1, f"that is below {options.minimum:.4f}: train for more epochs\n")
    options.output.write_text(f"{accuracy:.4f}", encoding="utf-8")


if __name__ == "__main__":
    main()
