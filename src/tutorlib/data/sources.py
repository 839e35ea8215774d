"""Where the image sets are published, and the checksums of their files.

The MD5 checksums are those that torchvision states (the two small parts of Omniglot: of files with the
SHA-256 that TensorFlow Datasets states), the sizes in bytes those of TensorFlow Datasets.
"""

from tutorlib.data.download import RemoteFile

__all__ = ["CIFAR10_BATCHES", "CLASS_NAMES", "FILES", "KMNIST_TEST_NPZ", "SHAPES"]

_MNIST = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_FASHION = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
)
_EMNIST = ("https://biometrics.nist.gov/cs_links/EMNIST/",)
_KMNIST = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)
_CIFAR10 = ("https://www.cs.toronto.edu/~kriz/",)
_SVHN = ("http://ufldl.stanford.edu/housenumbers/",)
_OMNIGLOT = ("https://github.com/brendenlake/omniglot/raw/master/python/",)

_Sums = tuple[str | None, int | None, *tuple[str, ...]]  # MD5, bytes, and SHA-256 of other versions


def _file(folder: str, places: tuple[str, ...], name: str, sums: _Sums) -> tuple[RemoteFile]:
    md5, size, *accepted = sums
    return (RemoteFile(name, folder, tuple(place + name for place in places), md5, tuple(accepted), size),)


def _pair(
    folder: str, places: tuple[str, ...], part: str, images: _Sums, labels: _Sums
) -> tuple[RemoteFile, RemoteFile]:
    return (
        *_file(folder, places, f"{part}-images-idx3-ubyte.gz", images),
        *_file(folder, places, f"{part}-labels-idx1-ubyte.gz", labels),
    )


_CIFAR10_FILE = _file("cifar10", _CIFAR10, "cifar-10-python.tar.gz", ("c58f30108f718f92721af3b95e74349a", 170498071))

_EMNIST_FILE = _file("emnist", _EMNIST, "gzip.zip", ("58c8d27c78d21e728a6bc7b3cc06412e", 561753746))

FILES: dict[str, dict[str, tuple[RemoteFile, ...]]] = {
    "mnist": {
        "train": _pair(
            "mnist",
            _MNIST,
            "train",
            images=("f68b3c2dcbeaaa9fbdd348bbdeb94873", 9912422),
            labels=("d53e105ee54ea40749a09fcbcd1e9432", 28881),
        ),
        "test": _pair(
            "mnist",
            _MNIST,
            "t10k",
            images=("9fb629c4189551a2d022fa330f9573f3", 1648877),
            labels=("ec29112dd5afa0611ce80d1b7f02629c", 4542),
        ),
    },
    "fashion-mnist": {
        "train": _pair(
            "fashion-mnist",
            _FASHION,
            "train",
            images=("8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26421880),
            labels=("25c81989df183df01b3e8a0aad5dffbe", 29515),
        ),
        "test": _pair(
            "fashion-mnist",
            _FASHION,
            "t10k",
            images=(
                "bef4ecab320f06d8554ea6380940ec79",
                4422102,
                # the first 4,000 images, re-packed
                "9a6a85b757b3031597e5370705f91d41217f20830e531c66f23ae6089a7cd01d",
            ),
            labels=(
                "bb300cfdad3c16e7a12a480ee83cd310",
                5148,
                # their labels
                "85972b28a2cf7671b89f71a242939a85c520247179be6ab663c92c34972d0384",
            ),
        ),
    },
    "kmnist": {
        "train": _pair(
            "kmnist",
            _KMNIST,
            "train",
            images=("bdb82020997e1d708af4cf47b453dcf7", 18165135),
            labels=("e144d726b3acfaa3e44228e80efcd344", 29497),
        ),
        "test": _pair(
            "kmnist",
            _KMNIST,
            "t10k",
            images=("5c965bf0a639b31b8f53240b1b52f4d7", 3041136),
            labels=("7320c461ea6c1c855c0b718fb2a4b134", 5120),
        ),
    },
    "emnist": {"train": _EMNIST_FILE, "test": _EMNIST_FILE},
    "cifar10": {"train": _CIFAR10_FILE, "test": _CIFAR10_FILE},
    "svhn": {
        "train": _file("svhn", _SVHN, "train_32x32.mat", ("e26dedcc434d2e4c54c9b2d4a06d8373", 182040794)),
        "test": _file("svhn", _SVHN, "test_32x32.mat", ("eb5a983be6a315427106f1b164d9cef3", 64275384)),
    },
    "omniglot": {
        part: _file("omniglot", _OMNIGLOT, f"images_{part}.zip", sums)
        for part, sums in {
            "background": ("68d2efa1b9178cc56df9314c21c6e718", 9464212),
            "evaluation": ("6b91aef0f799c5bb55b94e3f2daec811", 6462886),
            "background_small1": ("e704a628b5459e08445c13499850abc4", 1319022),
            "background_small2": ("b75a71a51d3b13f821f212756fe481fd", 1580917),
        }.items()
    },
}

KMNIST_TEST_NPZ = (
    # The test images and labels once more, as NumPy arrays. Nobody states a checksum of the training part.
    *_file(
        "kmnist",
        _KMNIST,
        "kmnist-test-imgs.npz",
        (None, None, "692d824896bec8f3c357ebf7a0fe904ed67ac632ce953d0b58f7fbef7bb27d87"),
    ),
    *_file(
        "kmnist",
        _KMNIST,
        "kmnist-test-labels.npz",
        (None, None, "660f13a4705431ea2a6391c41ecbe384cd0d932c595a101ec4f3b8989e785046"),
    ),
)

SHAPES: dict[str, dict[str, tuple[int, int, int, int]]] = {
    "mnist": {"train": (60_000, 28, 1, 10), "test": (10_000, 28, 1, 10)},
    "fashion-mnist": {"train": (60_000, 28, 1, 10), "test": (10_000, 28, 1, 10)},
    "kmnist": {"train": (60_000, 28, 1, 10), "test": (10_000, 28, 1, 10)},
    "emnist": {"train": (697_932, 28, 1, 62), "test": (116_323, 28, 1, 62)},
    "cifar10": {"train": (50_000, 32, 3, 10), "test": (10_000, 32, 3, 10)},
    "svhn": {"train": (73_257, 32, 3, 10), "test": (26_032, 32, 3, 10)},
    "omniglot": {
        "background": (19_280, 105, 1, 964),
        "evaluation": (13_180, 105, 1, 659),
        "background_small1": (2_720, 105, 1, 136),
        "background_small2": (3_120, 105, 1, 156),
    },
}  # fmt: skip
"""How many images a part has, their side and channels, and the classes."""

CIFAR10_BATCHES = {
    "train": ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"),
    "test": ("test_batch",),
}

CLASS_NAMES: dict[str, tuple[str, ...]] = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "kmnist": ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    "emnist": tuple("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
    "cifar10": (
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
    "svhn": tuple("0123456789"),
}
