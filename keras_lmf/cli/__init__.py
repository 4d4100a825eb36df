"""keras-lmf …: the command line. A command's module is imported when it is asked for, and imports what it needs when
it runs."""

from __future__ import annotations

import importlib

import click
from click.shell_completion import CompletionItem

from keras_lmf import __version__
from keras_lmf.cli.progress import starting
from keras_lmf.errors import unknown_name
from keras_lmf.noise import quiet_starts

# What people come for → command → its module here, and what `--help` says of it in a line.
GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "Ask about clips": {
        "predict": ("predict", "The emotion in clips and photos."),
        "serve-demo": ("serve_demo", "The same in your browser, live."),
        "describe": ("describe", "Pitch, pauses, head, mouth and movement in numbers."),
    },
    "Train on your own": {
        "quickstart": ("measure", "The main job in miniature, on synthetic clips."),
        "check": ("corpora", "Whether a corpus or a folder of clips is whole."),
        "corpora": ("corpora", "The published corpora that can be read."),
        "extract": ("extract", "Decode recordings into arrays, once."),
        "train": ("runs", "Train a recipe into a run's folder."),
        "evaluate": ("runs", "Metrics with intervals and floor."),
        "explain": ("explain", "Which inputs carry the answers."),
        "robustness": ("studies", "Metrics as the inputs get worse."),
        "compare": ("studies", "Train several recipes, and compare."),
        "tune": ("studies", "Search rank, width and learning rate."),
    },
    "Take a trained model": {
        "list": ("zoo", "The zoo's models: which one do I take?"),
        "show": ("zoo", "One model."),
        "fetch": ("zoo", "Bring a model's files to this machine."),
    },
    "Bring it to a device": {
        "export": ("export", "Write SavedModel and .tflite, and measure them."),
        "inspect": ("inspect", "What a file takes, gives and costs."),
        "benchmark": ("measure", "Size, time and memory on this machine."),
    },
    "Maintain the zoo": {
        "publish": ("zoo", "Make a folder with a recipe a zoo entry."),
        "renew": ("zoo", "Write an entry's files anew."),
        "calibrate": ("zoo", "Fit an entry's temperatures anew."),
        "metadata": ("zoo", "Write what sidecars say into their files."),
        "render": ("zoo", "Write the cards and tables."),
    },
}
_HOMES = {name: module for commands in GROUPS.values() for name, (module, _) in commands.items()}


class Commands(click.Group):
    """The commands of GROUPS; it knows the nearest one."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(_HOMES)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _HOMES:
            return None
        home = vars(importlib.import_module(f"keras_lmf.cli.{_HOMES[name]}")).values()
        return next(found for found in home if isinstance(found, click.Command) and found.name == name)

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if arguments and arguments[0] not in _HOMES:
            raise click.UsageError(str(unknown_name("command", arguments[0], _HOMES)), context)
        return super().resolve_command(context, arguments)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, _HOMES))
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), line) for name, (_, line) in commands.items()])

    def shell_complete(self, context: click.Context, incomplete: str) -> list[CompletionItem]:
        commands = {name: line for group in GROUPS.values() for name, (_, line) in group.items()}
        found = [
            CompletionItem(name, help=commands[name]) for name in commands if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, context, incomplete)]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__)
def main() -> None:
    """Audio-video emotion recognition by tensor fusion and low-rank fusion.

    Exit codes: 0 done, 1 failed, 2 wrong usage. KERAS_LMF_VERBOSE=1 shows the log of TensorFlow and its like.
    """
    quiet_starts(starting)
