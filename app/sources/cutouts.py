"""The people of the demonstration camera, cut out of their photographs along outlines drawn here."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.sources.base import Bgr, SourceError

__all__ = ["BIDEN", "OBAMA", "OBAMA_SPEAKING", "OBAMA_STANDING", "Cutout", "Sprite", "make_sprite"]


@dataclass(frozen=True, slots=True)
class Cutout:
    """Somebody in a photograph."""

    photo: str
    #: How much the photograph is scaled, so that the face is some 110 pixels wide.
    scale: float
    #: Their outline, pixels of the photograph.
    outline: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Sprite:
    """Somebody ready to be drawn: what is there becomes ``there * keep / 255 + add``."""

    #: (H, W, 3) uint8: how much of the background stays, darkened where their shadow falls.
    keep: Bgr
    #: (H, W, 3) uint8: their own pixels, times their opacity.
    add: Bgr

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.add.shape[1], self.add.shape[0]

    def draw(self, scene: Bgr, left: int, top: int) -> None:
        """Draw onto `scene` with the upper left corner there; what lies outside is not drawn."""
        x0, x1 = max(0, left), min(scene.shape[1], left + self.add.shape[1])
        y0, y1 = max(0, top), min(scene.shape[0], top + self.add.shape[0])
        if x0 >= x1 or y0 >= y1:
            return
        part = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
        there = scene[y0:y1, x0:x1]
        cv2.multiply(there, self.keep[part], dst=there, scale=1 / 255)
        cv2.add(there, self.add[part], dst=there)


def make_sprite(cutout: Cutout, folder: Path) -> Sprite:
    """Cut somebody out of their photograph in `folder`.

    Raises:
        SourceError: the photograph cannot be read.
    """
    photo = cv2.imread(str(folder / cutout.photo))
    if photo is None:
        raise SourceError(f"{folder / cutout.photo} is not an image that can be read")
    outline = np.array(cutout.outline, np.int32)
    left, top, width, height = cv2.boundingRect(outline)
    margin = round(24 / cutout.scale)
    alpha = np.zeros((height + margin, width + 2 * margin), np.uint8)
    cv2.fillPoly(alpha, [outline - (left - margin, top - margin)], 255)
    person = np.zeros((*alpha.shape, 3), np.uint8)
    person[margin:, margin:-margin] = photo[top : top + height, left : left + width]
    size = (round(alpha.shape[1] * cutout.scale), round(alpha.shape[0] * cutout.scale))
    return _blend(
        np.asarray(cv2.resize(person, size, interpolation=cv2.INTER_AREA), np.uint8),
        np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.uint8),
    )


def _blend(person: Bgr, alpha: NDArray[np.uint8]) -> Sprite:
    """Soften the edge, and lay a shadow around it."""
    # Shrunk a little first: the outermost pixels hold some of the photograph's own background.
    inner = cv2.erode(alpha, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    opacity = cv2.GaussianBlur(inner, (0, 0), 1.3, borderType=cv2.BORDER_REPLICATE)[..., None] / 255
    shadow = cv2.GaussianBlur(alpha, (0, 0), 9, borderType=cv2.BORDER_REPLICATE)[..., None] / 255
    keep = np.repeat((1 - opacity) * (1 - 0.4 * shadow) * 255, 3, axis=2)
    return Sprite(keep.round().astype(np.uint8), (person * opacity).round().astype(np.uint8))


OBAMA = Cutout(
    "obama.jpg",
    0.47,
    (
        (557, 47), (530, 43), (523, 33), (457, 33), (428, 45), (395, 77), (387, 77), (378, 97), (372, 98),
        (362, 137), (358, 193), (355, 198), (338, 200), (338, 233), (355, 290), (380, 292), (387, 305),
        (403, 370), (402, 417), (390, 433), (328, 470), (267, 488), (203, 522), (192, 522), (177, 537),
        (158, 583), (157, 608), (143, 627), (140, 653), (132, 670), (128, 715), (118, 718), (108, 733),
        (108, 763), (93, 807), (80, 825), (60, 908), (60, 998), (823, 998), (827, 945), (812, 943),
        (812, 927), (833, 830), (832, 722), (838, 715), (838, 648), (833, 620), (838, 618), (842, 593),
        (840, 537), (825, 512), (785, 482), (762, 470), (732, 467), (650, 432), (627, 427), (597, 397),
        (582, 395), (580, 363), (590, 347), (603, 293), (622, 292), (623, 278), (632, 267), (640, 237),
        (638, 200), (623, 197), (622, 178), (615, 172), (615, 112), (600, 87), (592, 87), (580, 67),
    ),
)  # fmt: skip

OBAMA_SPEAKING = Cutout(
    "obama2.jpg",
    0.45,
    (
        (439, 182), (385, 166), (346, 166), (320, 180), (299, 180), (263, 203), (236, 256), (221, 266),
        (214, 290), (211, 353), (198, 356), (205, 468), (221, 551), (230, 567), (229, 601), (218, 616),
        (194, 628), (70, 668), (38, 690), (18, 726), (6, 790), (0, 880), (0, 1078), (625, 1078), (625, 880),
        (620, 790), (608, 722), (588, 684), (560, 658), (515, 630), (491, 610), (459, 565), (456, 545),
        (470, 520), (478, 500), (527, 440), (540, 416), (536, 400),
        (517, 391), (526, 320), (522, 268), (484, 214),
    ),
)  # fmt: skip

OBAMA_STANDING = Cutout(
    "obama3.jpg",
    0.46,
    (
        (838, 236), (802, 223), (745, 228), (685, 260), (650, 288), (626, 323), (615, 368), (615, 414),
        (592, 416), (581, 427), (576, 462), (581, 481), (600, 509), (637, 518), (650, 646), (628, 654),
        (628, 676), (613, 678), (587, 706), (550, 724), (338, 771), (316, 795), (308, 815), (310, 860),
        (297, 878), (297, 904), (277, 923), (277, 942), (290, 956), (290, 997), (273, 1023), (238, 1198),
        (238, 1231), (254, 1265), (256, 1298), (1187, 1298), (1198, 1248), (1218, 1200), (1218, 1166),
        (1196, 1140), (1187, 1051), (1166, 1020), (1166, 986), (1155, 979), (1155, 951), (1148, 949),
        (1144, 802), (1131, 786), (1118, 786), (1060, 760), (994, 748), (878, 696), (860, 680), (860, 628),
        (871, 622), (871, 568), (888, 544), (904, 544), (921, 500), (921, 453), (914, 442), (916, 368),
        (908, 327), (873, 269),
    ),
)  # fmt: skip

BIDEN = Cutout(
    "biden.jpg",
    0.41,
    (
        (667, 117), (640, 115), (598, 100), (512, 102), (506, 108), (477, 112), (462, 131), (433, 148),
        (406, 188), (390, 235), (383, 383), (390, 385), (394, 412), (406, 415), (406, 431), (419, 433),
        (417, 504), (406, 510), (396, 546), (377, 546), (319, 585), (148, 610), (90, 627), (65, 640),
        (52, 654), (40, 692), (46, 831), (35, 877), (42, 1058), (62, 1154), (90, 1210), (98, 1248),
        (831, 1248), (833, 1231), (931, 1231), (933, 1221), (952, 1210), (954, 904), (940, 879),
        (940, 865), (929, 854), (925, 788), (919, 781), (912, 746), (885, 727), (858, 721), (810, 688),
        (725, 662), (660, 621), (638, 588), (638, 556), (677, 510), (688, 475), (704, 465), (723, 381),
        (742, 354), (744, 325), (754, 310), (750, 223), (740, 212), (733, 181), (710, 146),
    ),
)  # fmt: skip
