"""Handwritten digits, LeNet-5 with batch norm: the recipe of `make demo`.

1,437 images of some writers to learn from, the last 360 (others) held out; 8x8 up-scaled to 16x16.
"""

from ..train.recipe import Expect, Recipe

RECIPES = {
    "digits_lenet": Recipe(
        data="digits",
        task="classify",
        model="lenet5_bn",
        imgsz=16,
        epochs=15,
        batch=32,
        optim="nesterov",
        lr=0.3,
        weight_decay=5e-4,
        schedule="onecycle",
        label_smoothing=0.1,
        augment="affine",
        expect=Expect("accuracy", 0.985, 0.15),
    )
}
