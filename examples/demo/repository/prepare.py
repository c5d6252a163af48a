"""Split the handwritten digits that come with scikit-learn into `train.npz` and `test.npz`."""

import argparse
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from digits import Split


def main() -> None:
    """Write both splits; the same seed always puts the same images into them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for the two files")
    parser.add_argument("--test-share", type=float, default=0.2, help="share of images to test on")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    digits = load_digits()
    train_images, test_images, train_labels, test_labels = train_test_split(
        digits.data,
        digits.target,
        test_size=options.test_share,
        random_state=options.seed,
        stratify=digits.target,
    )
    options.output.mkdir(parents=True, exist_ok=True)
    Split(images=train_images, labels=train_labels).save(options.output / "train.npz")
    Split(images=test_images, labels=test_labels).save(options.output / "test.npz")
    print(f"{len(train_labels)} images to train on, {len(test_labels)} to test on")


if __name__ == "__main__":
    main()
