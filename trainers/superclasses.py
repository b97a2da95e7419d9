"""Coarser classes that a data set's publishers give beside the fine ones. Free of torch.

CIFAR-100's twenty are in Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images", and on the set's
page (https://www.cs.toronto.edu/~kriz/cifar.html); torchvision keeps its files' fine labels alone. Fine classes are
numbered in alphabetical order, and so are the superclasses: as in the files' own `fine_label_names` and
`coarse_label_names`.
"""

from __future__ import annotations

from collections.abc import Mapping

CIFAR100: Mapping[str, tuple[str, ...]] = {
    "aquatic_mammals": ("beaver", "dolphin", "otter", "seal", "whale"),
    "fish": ("aquarium_fish", "flatfish", "ray", "shark", "trout"),
    "flowers": ("orchid", "poppy", "rose", "sunflower", "tulip"),
    "food_containers": ("bottle", "bowl", "can", "cup", "plate"),
    "fruit_and_vegetables": ("apple", "mushroom", "orange", "pear", "sweet_pepper"),
    "household_electrical_devices": ("clock", "keyboard", "lamp", "telephone", "television"),
    "household_furniture": ("bed", "chair", "couch", "table", "wardrobe"),
    "insects": ("bee", "beetle", "butterfly", "caterpillar", "cockroach"),
    "large_carnivores": ("bear", "leopard", "lion", "tiger", "wolf"),
    "large_man-made_outdoor_things": ("bridge", "castle", "house", "road", "skyscraper"),
    "large_natural_outdoor_scenes": ("cloud", "forest", "mountain", "plain", "sea"),
    "large_omnivores_and_herbivores": ("camel", "cattle", "chimpanzee", "elephant", "kangaroo"),
    "medium_mammals": ("fox", "porcupine", "possum", "raccoon", "skunk"),
    "non-insect_invertebrates": ("crab", "lobster", "snail", "spider", "worm"),
    "people": ("baby", "boy", "girl", "man", "woman"),
    "reptiles": ("crocodile", "dinosaur", "lizard", "snake", "turtle"),
    "small_mammals": ("hamster", "mouse", "rabbit", "shrew", "squirrel"),
    "trees": ("maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"),
    "vehicles_1": ("bicycle", "bus", "motorcycle", "pickup_truck", "train"),
    "vehicles_2": ("lawn_mower", "rocket", "streetcar", "tank", "tractor"),
}


def _map(superclasses: Mapping[str, tuple[str, ...]]) -> tuple[int, ...]:
    numbers = {fine: number for number, members in enumerate(superclasses.values()) for fine in members}
    return tuple(numbers[fine] for fine in sorted(numbers))


SUPERCLASSES: Mapping[str, tuple[int, ...]] = {"CIFAR100": _map(CIFAR100)}
"""For each data set that has them: each fine class's superclass."""
