"""The networks of `keras.applications`, with their sizes: a recipe loads no Keras, and its model's size is foretold."""

from __future__ import annotations

from keras_lmf.errors import unknown_name

# Name → (numbers in the kernels, width of the pooled features), without the last dense layers.
NETWORKS: dict[str, tuple[int, int]] = {
    "ConvNeXtBase": (87_398_016, 1024),
    "ConvNeXtLarge": (195_977_664, 1536),
    "ConvNeXtSmall": (49_328_352, 768),
    "ConvNeXtTiny": (27_756_000, 768),
    "ConvNeXtXLarge": (347_811_072, 2048),
    "DenseNet121": (6_870_208, 1024),
    "DenseNet169": (12_326_080, 1664),
    "DenseNet201": (17_863_872, 1920),
    "EfficientNetB0": (3_956_192, 1280),
    "EfficientNetB1": (6_436_976, 1280),
    "EfficientNetB2": (7_618_016, 1408),
    "EfficientNetB3": (10_588_856, 1536),
    "EfficientNetB4": (17_394_376, 1792),
    "EfficientNetB5": (28_127_728, 2048),
    "EfficientNetB6": (40_458_672, 2304),
    "EfficientNetB7": (63_403_040, 2560),
    "EfficientNetV2B0": (5_784_576, 1280),
    "EfficientNetV2B1": (6_773_152, 1280),
    "EfficientNetV2B2": (8_586_384, 1408),
    "EfficientNetV2B3": (12_687_448, 1536),
    "EfficientNetV2L": (116_602_144, 1280),
    "EfficientNetV2M": (52_498_504, 1280),
    "EfficientNetV2S": (19_988_424, 1280),
    "InceptionResNetV2": (54_200_160, 1536),
    "InceptionV3": (21_751_136, 2048),
    "MobileNet": (3_185_088, 1024),
    "MobileNetV2": (2_189_760, 1280),
    "MobileNetV3Large": (2_942_472, 960),
    "MobileNetV3Small": (912_008, 576),
    "NASNetLarge": (84_523_482, 4032),
    "NASNetMobile": (4_196_240, 1056),
    "ResNet101": (42_394_816, 2048),
    "ResNet101V2": (42_394_816, 2048),
    "ResNet152": (57_992_384, 2048),
    "ResNet152V2": (57_992_384, 2048),
    "ResNet50": (23_454_912, 2048),
    "ResNet50V2": (23_454_912, 2048),
    "VGG16": (14_710_464, 512),
    "VGG19": (20_018_880, 512),
    "Xception": (20_752_424, 2048),
}


def known_network(name: str) -> str:
    """`name`, if `keras.applications` has such a network."""
    if name not in NETWORKS:
        raise unknown_name("network of keras.applications", name, NETWORKS)
    return name
