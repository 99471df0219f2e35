"""The Modelfile for Ollama, with the chat template in Go's template language.

A template is not translated, it is recognised: the model's own Jinja template and each form known here render the same
probe conversations, and the form that gives the same text is taken. If none does, the Modelfile says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scripts.lib.options.deploy import GenerationOptions

Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Form:
    """A chat template that is known in both languages.

    Attributes:
        name: what it is called in deployment_config.json.
        render: messages and the end token, to the text that ends with the header of the next answer.
        go: the same for Ollama; ``EOS`` stands for the end token.
        stop: strings that end an answer.
    """

    name: str
    render: Callable[[Messages, str], str]
    go: str
    stop: tuple[str, ...]


def chatml(messages: Messages, eos: str) -> str:
    """ChatML: every turn between <|im_start|> and <|im_end|>."""
    turns = (f"<|im_start|>{row['role']}\n{row['content']}<|im_end|>\n" for row in messages)
    return "".join(turns) + "<|im_start|>assistant\n"


def chatml_tool_response(messages: Messages, eos: str) -> str:
    """ChatML as Qwen writes it: a tool's result is a user turn with a <tool_response> in it."""
    wrapped = [
        {"role": "user", "content": f"<tool_response>\n{row['content']}\n</tool_response>"}
        if row["role"] == "tool"
        else row
        for row in messages
    ]
    return chatml(wrapped, eos)


def role_lines(messages: Messages, eos: str) -> str:
    """The project's template for models that have none: a role line, the text, the end-of-text token."""
    return "".join(f"{row['role']}:\n{row['content']}{eos}\n" for row in messages) + "assistant:\n"


FORMS = (
    Form(
        "chatml",
        chatml,
        "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}<|im_start|>assistant\n",
        ("<|im_start|>", "<|im_end|>"),
    ),
    Form(
        "chatml-tool-response",
        chatml_tool_response,
        '{{ range .Messages }}{{ if eq .Role "tool" }}<|im_start|>user\n<tool_response>\n{{ .Content }}\n'
        "</tool_response><|im_end|>\n{{ else }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}{{ end }}"
        "<|im_start|>assistant\n",
        ("<|im_start|>", "<|im_end|>"),
    ),
    Form(
        "role-lines",
        role_lines,
        "{{ range .Messages }}{{ .Role }}:\n{{ .Content }}EOS\n{{ end }}assistant:\n",
        ("EOS",),
    ),
)

PROBE: Messages = [
    {"role": "system", "content": "Rules."},
    {"role": "user", "content": "Pip hides."},
    {"role": "assistant", "content": "Softly. [check: stealth, Pip]"},
    {"role": "tool", "content": "stealth: 17"},
    {"role": "assistant", "content": "Nobody looks up."},
    {"role": "user", "content": "Aria follows."},
]


def recognise(template: str, bos: str, eos: str) -> Form | None:
    """The known form that renders the probe as the Jinja template does, or None."""
    probes = (PROBE, [row for row in PROBE if row["role"] != "tool"])
    for probe in probes:
        rendered = render_jinja(template, probe, bos, eos)
        for form in FORMS:
            if rendered is not None and rendered == form.render(probe, eos):
                return form
    return None


def render_jinja(template: str, messages: Messages, bos: str, eos: str) -> str | None:
    """The template's text for messages, or None where it refuses them; sandboxed, for it comes with the model."""
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    values: dict[str, Any] = {"messages": messages, "add_generation_prompt": True, "tools": None}
    values |= {"bos_token": bos, "eos_token": eos, "raise_exception": refuse}
    try:
        return environment.from_string(template).render(values)
    except (TemplateError, TypeError, ValueError):
        return None


def stop_strings(form: Form | None, eos: str) -> list[str]:
    """Strings at which serving stops: the form's, else the end token alone."""
    return [stop.replace("EOS", eos) for stop in (form.stop if form else ("EOS",)) if stop.replace("EOS", eos)]


def modelfile(
    file: str,
    form: Form | None,
    eos: str,
    system_prompt: str,
    generation: GenerationOptions,
    context_length: int,
    mmproj: str | None = None,
) -> str:
    """The text of a Modelfile for one GGUF, and its projector if it sees, that lie beside it."""
    lines = [
        "# For Ollama:  ollama create NAME -f Modelfile  &&  ollama run NAME",
        f"FROM ./{file}",
        *([f"FROM ./{mmproj}"] if mmproj else []),
        "",
        *template_lines(form, eos),
        f"PARAMETER num_ctx {context_length}",
        f"PARAMETER num_predict {generation.max_tokens}",
        f"PARAMETER temperature {generation.temperature}",
        f"PARAMETER top_p {generation.top_p}",
        f"PARAMETER top_k {generation.top_k}",
        f"PARAMETER repeat_penalty {generation.repeat_penalty}",
        *(f'PARAMETER stop "{stop}"' for stop in stop_strings(form, eos)),
    ]
    if system_prompt:
        lines += ["", f"SYSTEM {quoted(system_prompt)}"]
    return "\n".join(lines) + "\n"


def template_lines(form: Form | None, eos: str) -> list[str]:
    """The TEMPLATE instruction, or an honest comment in its place."""
    if form is None:
        return [
            "# No TEMPLATE: the chat template of this model is none that Questline knows in Go's template language.",
            "# Ollama then uses what it makes of the GGUF itself, which can differ from training: compare its answers",
            "# with test_results.json, or serve with llama-server (run-llama-server.sh), which uses the model's own.",
            "",
        ]
    notes = [f"# The model's own chat template ({form.name}) in Go's template language."]
    if form.name == "chatml-tool-response":
        notes.append("# Two tool results in a row become two turns here; the model's own template joins them in one.")
    notes.append("# Ollama joins turns of one role that follow each other by a blank line before it renders them.")
    return [*notes, f"TEMPLATE {quoted(form.go.replace('EOS', eos))}", ""]


def quoted(text: str) -> str:
    """Text between triple quotes, as a Modelfile takes it; it knows no escape, so inner ones are parted."""
    return '"""' + text.replace('"""', '"" "') + '"""'
