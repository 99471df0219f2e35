"""Commands that serve a GGUF with llama-server."""

from __future__ import annotations

from scripts.lib.options.deploy import GenerationOptions

PORT = 8080


def server_flags(generation: GenerationOptions, context_length: int) -> list[str]:
    """llama-server's flags after the model: loopback only, the model's own chat template, the run's sampling."""
    return [
        *("--host", "127.0.0.1"),
        *("--port", str(PORT)),
        *("--ctx-size", str(context_length)),
        "--jinja",
        *("--temp", str(generation.temperature)),
        *("--top-p", str(generation.top_p)),
        *("--top-k", str(generation.top_k)),
        *("--repeat-penalty", str(generation.repeat_penalty)),
        *("--predict", str(generation.max_tokens)),
    ]


def server_command(file: str, generation: GenerationOptions, context_length: int, mmproj: str | None = None) -> str:
    """The command as one types it inside the package."""
    eyes = ["--mmproj", mmproj] if mmproj else []
    return " ".join(["llama-server", "--model", file, *eyes, *server_flags(generation, context_length)])


def server_script(file: str, generation: GenerationOptions, context_length: int, mmproj: str | None = None) -> str:
    """run-llama-server.sh: works from any folder, takes another model file as its first argument."""
    eyes = [f'--mmproj "$here/{mmproj}"'] if mmproj else []
    flags = " ".join([*eyes, *server_flags(generation, context_length)])
    return (
        "#!/bin/sh\n"
        "# Serves the model on loopback with llama.cpp's llama-server; the first argument may name another GGUF here.\n"
        "set -eu\n"
        'here=$(cd "$(dirname "$0")" && pwd)\n'
        f"model=${{1:-{file}}}\n"
        "[ $# -eq 0 ] || shift\n"
        f'exec llama-server --model "$here/$model" {flags} "$@"\n'
    )
