"""Photographs of people among the stills, two of each."""

__all__ = ["FOLDER", "PEOPLE"]

FOLDER = "face_recognition/examples/knn_examples/train"
PEOPLE = {
    "obama": ["obama/obama.jpg", "obama/obama2.jpg"],
    "biden": ["biden/biden.jpg", "biden/biden2.jpg"],
    "harington": ["kit_harington/john1.jpeg", "kit_harington/john2.jpeg"],
    "leslie": ["rose_leslie/img1.jpg", "rose_leslie/img2.jpg"],
}
