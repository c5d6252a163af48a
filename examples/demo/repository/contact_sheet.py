"""Draw every test image with its prediction into one picture; mistakes come first and are red."""

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from digits import SIDE, WHITE, Floats, Integers, Model, Split

COLUMNS = 20
SCALE = 6
"""Points of the picture per pixel of an image, in both directions."""
FRAME = 3
GAP = 6
CAPTION = 22
TITLE = 44
TILE = SIDE * SCALE
CELL_WIDTH = TILE + 2 * (FRAME + GAP)
CELL_HEIGHT = TILE + 2 * FRAME + GAP + CAPTION

PAPER = "white"
INK = "#333333"
RED = "#d0021b"


def draw_digit(pixels: Floats) -> Image.Image:
    """The image, dark on light and enlarged without smoothing."""
    gray = 255 - pixels.reshape(SIDE, SIDE) * 255 / WHITE
    return Image.fromarray(gray.astype(np.uint8)).resize((TILE, TILE), Image.Resampling.NEAREST)


def draw_sheet(test: Split, predictions: Integers) -> Image.Image:
    """A page with a title and one cell per test image, what was mistaken at the top."""
    right = predictions == test.labels
    rows = -(-right.size // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * CELL_WIDTH + GAP, TITLE + rows * CELL_HEIGHT), PAPER)
    draw = ImageDraw.Draw(sheet)
    title = f"{right.sum()} of {right.size} digits recognized ({right.mean():.1%}); mistakes in red"
    draw.text((2 * GAP, TITLE / 2), title, INK, ImageFont.load_default(size=22), anchor="lm")

    font = ImageFont.load_default(size=15)
    for place, number in enumerate(np.argsort(right, kind="stable")):
        x = GAP + place % COLUMNS * CELL_WIDTH
        y = TITLE + place // COLUMNS * CELL_HEIGHT
        color = INK if right[number] else RED
        caption = f"{predictions[number]}"
        if not right[number]:
            caption += f", is {test.labels[number]}"
            draw.rectangle((x, y, x + TILE + 2 * FRAME - 1, y + TILE + 2 * FRAME - 1), fill=RED)
        sheet.paste(draw_digit(test.images[number]), (x + FRAME, y + FRAME))
        middle = (x + FRAME + TILE / 2, y + TILE + 2 * FRAME + CAPTION / 2)
        draw.text(middle, caption, color, font, anchor="mm")
    return sheet


def main() -> None:
    """Write `contact-sheet.png` and, for programs, `predictions.csv`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with test.npz")
    parser.add_argument("--model", type=Path, required=True, help="folder with model.npz")
    parser.add_argument("--output", type=Path, required=True, help="folder for the two files")
    options = parser.parse_args()

    test = Split.load(options.data / "test.npz")
    predictions = Model.load(options.model / "model.npz").predict(test.images)
    options.output.mkdir(parents=True, exist_ok=True)
    draw_sheet(test, predictions).save(options.output / "contact-sheet.png", optimize=True)
    with (options.output / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["image", "digit", "prediction"])
        rows = zip(test.labels.tolist(), predictions.tolist(), strict=True)
        table.writerows((number, *row) for number, row in enumerate(rows))
    print(f"{predictions.size} predictions drawn")


if __name__ == "__main__":
    main()
