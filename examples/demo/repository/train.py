"""Train a small network on `train.npz` and write it as `model.npz`."""

import argparse
import warnings
from pathlib import Path

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from digits import WHITE, Model, Split

LEARNING_RATE = 0.005


def train(split: Split, *, hidden_units: int, epochs: int, seed: int) -> Model:
    """Fit the network for a fixed number of passes over the images."""
    classifier = MLPClassifier(
        hidden_layer_sizes=(hidden_units,),
        learning_rate_init=LEARNING_RATE,
        max_iter=epochs,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # The number of epochs is what the caller asked for, not a limit that was hit by accident.
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(split.images / WHITE, split.labels)
    hidden_weights, output_weights = classifier.coefs_
    hidden_bias, output_bias = classifier.intercepts_
    print(f"loss {classifier.loss_:.4f} after {classifier.n_iter_} epochs")
    return Model(
        hidden_weights=hidden_weights,
        hidden_bias=hidden_bias,
        output_weights=output_weights,
        output_bias=output_bias,
    )


def main() -> None:
    """Train on the dataset and save the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with train.npz")
    parser.add_argument("--output", type=Path, required=True, help="folder for model.npz")
    parser.add_argument("--hidden-units", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    model = train(
        Split.load(options.data / "train.npz"),
        hidden_units=options.hidden_units,
        epochs=options.epochs,
        seed=options.seed,
    )
    options.output.mkdir(parents=True, exist_ok=True)
    model.save(options.output / "model.npz")


if __name__ == "__main__":
    main()
