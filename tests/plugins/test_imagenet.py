"""The class names of ImageNet and their groups."""

from __future__ import annotations

from composer_imagenet import class_groups, class_names


def members(group: str) -> list[str]:
    return [class_names()[index] for index in class_groups()[group]]


def test_there_are_1000_names_and_no_two_are_alike() -> None:
    assert len(class_names()) == len(set(class_names())) == 1000


def test_groups_hold_the_classes_that_their_names_promise() -> None:
    assert members("cat") == ["tabby", "tiger cat", "Persian cat", "Siamese cat", "Egyptian cat"]
    assert members("dog")[0] == "Chihuahua"
    assert members("dog")[-1] == "Mexican hairless"
    assert members("truck") == [
        "fire engine",
        "garbage truck",
        "moving van",
        "pickup",
        "police van",
        "tow truck",
        "trailer truck",
    ]
    assert members("snake")[0] == "thunder snake"
    assert members("snake")[-1] == "sidewinder"
    assert {"cock", "great grey owl", "black grouse", "black swan", "white stork", "albatross"} < set(members("bird"))
    assert set(members("primate")) > set(members("monkey")) | set(members("ape"))
    assert set(members("animal")) > set(members("cat")) | set(members("fish")) | set(members("insect"))


def test_no_group_is_called_like_a_class_so_that_a_name_means_one_thing() -> None:
    assert not set(class_groups()) & set(class_names())


def test_groups_name_each_class_once_and_none_beyond_the_last() -> None:
    for name, indices in class_groups().items():
        assert len(set(indices)) == len(indices), name
        assert 0 <= min(indices) <= max(indices) < 1000, name
