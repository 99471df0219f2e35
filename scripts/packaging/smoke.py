"""The smoke transcript: what the shipped file answers to a few test prompts, greedily, and its replay elsewhere.

Two machines may round differently, and where two tokens are nearly equally likely a greedy answer then takes the
other one and goes its own way from there. So a replay agrees with the transcript if its answer is the same, or
if at the first token where they part the model itself holds both for nearly equally likely (`TOLERANCE`).
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scripts.lib.chat import expand
from scripts.lib.cli import UserError
from scripts.lib.files import inside, read_json
from scripts.model.vision import beside
from scripts.packaging.verification import Verdict

NAME = "test_results.json"
PICTURES = "smoke"  # the folder of the pictures that its prompts show
# Nats between the log-probabilities of two tokens. Kernels for other processors move a quantised model's logits by
# some hundredths up to a few tenths; a damaged or different model is off by whole nats within a token or two.
TOLERANCE = 0.5


class Case(BaseModel):
    """One prompt and its greedy answer; ``images`` are the package's files of the pictures that it shows."""

    model_config = ConfigDict(extra="forbid")
    id: str
    answer: int = Field(ge=0)
    prompt: str
    images: list[str] = []
    prompt_tokens: int = Field(ge=1, le=1 << 20)
    completion: str
    ids: list[int]
    finish: str


class Transcript(BaseModel):
    """test_results.json; ``file`` is a model file of the package, ``sha256`` its hash, ``mmproj`` its projector."""

    model_config = ConfigDict(extra="forbid")
    file: str
    sha256: str
    engine: str
    mmproj: str | None = None
    decoding: str = "greedy"
    max_tokens: int = Field(ge=1, le=1 << 16)
    cases: list[Case] = Field(min_length=1)


class Prompt(NamedTuple):
    """A rendered prompt, one placeholder a picture, and the files of its pictures."""

    text: str
    pictures: tuple[Path, ...] = ()


class Engine(Protocol):
    """Something that answers prompts greedily."""

    def answer(self, prompts: Sequence[Prompt], max_tokens: int) -> list[dict[str, Any]]:
        """For each prompt: prompt_tokens, completion, ids, finish."""

    def gap(self, prompt: Prompt, ids: Sequence[int], one: int, other: int) -> float:
        """Nats between the log-probabilities of two tokens after the prompt and ``ids``."""


class GgufEngine:
    """A GGUF in llama.cpp. ``context`` has room for the longest prompt and its answer."""

    def __init__(self, path: Path, server: Any, context: int) -> None:
        self.path, self.server, self.context = path, server, context

    def answer(self, prompts: Sequence[Prompt], max_tokens: int) -> list[dict[str, Any]]:
        answers = []
        for prompt in prompts:
            said, ids = self.server.complete_ids(self.given(prompt), max_tokens)
            counts = {"prompt_tokens": said.prompt_tokens, "finish": said.finish}
            answers.append({"completion": said.text, "ids": ids, **counts})
        return answers

    def given(self, prompt: Prompt) -> str | dict[str, Any]:
        """A prompt as the server takes it."""
        shown = [base64.b64encode(path.read_bytes()).decode() for path in prompt.pictures]
        return beside(prompt.text, shown, self.server.marker) if shown else prompt.text

    def gap(self, prompt: Prompt, ids: Sequence[int], one: int, other: int) -> float:
        from scripts.model.llama import LogitReader

        if prompt.pictures:
            said = Prompt(prompt.text + self.server.detokenize(ids), prompt.pictures)
            return distance(self.server.next_token(self.given(said)), one, other)
        past = [*self.server.tokenize(prompt.text), *ids]
        with LogitReader(self.path, context=max(32, len(past))) as reader:
            return distance(next(reader.rows(past, first=len(past) - 1)), one, other)


class HfEngine:
    """A folder with safetensors in transformers, on the CPU in float32."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoTokenizer

        from scripts.model.vision import eyes_of, model_class

        # A package may come from anywhere: no network, no pickles, no code of its own.
        local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        self.tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        model = model_class(folder).from_pretrained(folder, dtype="float32", use_safetensors=True, **local)
        self.model, self.eyes = model.eval(), eyes_of(folder)

    def answer(self, prompts: Sequence[Prompt], max_tokens: int) -> list[dict[str, Any]]:
        return [self.one(prompt, max_tokens) for prompt in prompts]

    def given(self, prompt: Prompt, more: Sequence[int] = ()) -> dict[str, Any]:
        """A prompt, and more tokens, as the model takes them."""
        import torch

        features = [self.eyes.features(path) for path in prompt.pictures] if self.eyes else []
        text = expand(prompt.text, features) if features else prompt.text
        past = torch.tensor([[*self.tokenizer(text, add_special_tokens=False)["input_ids"], *more]])
        shown = self.eyes.input_of(past, prompt.pictures) if self.eyes and features else {}
        return {"input_ids": past, "attention_mask": torch.ones_like(past), **shown}

    def one(self, prompt: Prompt, max_tokens: int) -> dict[str, Any]:
        """The greedy answer to one prompt."""
        import torch

        given = self.given(prompt)
        past = given["input_ids"]
        settings = {"do_sample": False, "max_new_tokens": max_tokens, "pad_token_id": self.tokenizer.eos_token_id}
        with torch.inference_mode():
            ids = self.model.generate(**given, **settings)[0, past.shape[1] :].tolist()
        stops = self.model.generation_config.eos_token_id
        stops = {*(stops if isinstance(stops, list) else [stops]), self.tokenizer.eos_token_id}
        ended = bool(ids) and ids[-1] in stops
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        return {"prompt_tokens": past.shape[1], "completion": text, "ids": ids, "finish": "stop" if ended else "length"}

    def gap(self, prompt: Prompt, ids: Sequence[int], one: int, other: int) -> float:
        import torch

        with torch.inference_mode():
            row = self.model(**self.given(prompt, ids)).logits[0, -1]
        return distance(row, one, other)


def distance(row: Any, one: int, other: int) -> float:
    """Between two entries of a row of logits; infinite where the row has not both."""
    return abs(float(row[one]) - float(row[other])) if max(one, other) < len(row) else math.inf


@contextmanager
def open_gguf(path: Path, context: int, mmproj: Path | None = None) -> Any:
    """llama.cpp's server for one GGUF, a prompt at a time."""
    from scripts.model.llama import Server

    with Server(path, slots=1, context=context, mmproj=mmproj) as server:
        yield GgufEngine(path, server, context)


def open_engine(folder: Path, transcript: Transcript) -> AbstractContextManager[Engine]:
    """The engine that the transcript was made with.

    Raises:
        UserError: the transcript names an engine or a file that a package cannot have.
    """
    from contextlib import nullcontext

    if transcript.engine == "llama.cpp":
        context = max(case.prompt_tokens for case in transcript.cases) + transcript.max_tokens + 8
        mmproj = inside(folder, transcript.mmproj) if transcript.mmproj else None
        return open_gguf(inside(folder, transcript.file), context, mmproj)
    if transcript.engine == "transformers":
        return nullcontext(HfEngine(folder))
    raise UserError(f"{folder / NAME}: engine {transcript.engine!r} is neither llama.cpp nor transformers.")


def keep_picture(encoded: str, folder: Path) -> str:
    """Writes a picture (a PNG in base64) into a package, under a name of its content; returns that name."""
    data = base64.b64decode(encoded)
    name = f"{PICTURES}/{hashlib.sha256(data).hexdigest()[:16]}.png"
    (folder / PICTURES).mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    return name


def prompt_of(text: str, images: Sequence[str], folder: Path) -> Prompt:
    """A prompt with the pictures that it shows, which lie in a package's folder.

    Raises:
        UserError: a picture's name leaves the folder.
    """
    return Prompt(text, tuple(inside(folder, name) for name in images))


def record(engine: Engine, prompts: list[dict[str, Any]], max_tokens: int, folder: Path) -> list[Case]:
    """Answers to prompts, each ``{"id", "answer", "prompt"}``, and ``images`` in ``folder`` where it shows some."""
    given = [prompt_of(row["prompt"], row.get("images", ()), folder) for row in prompts]
    answers = engine.answer(given, max_tokens)
    return [Case(**prompt, **answer) for prompt, answer in zip(prompts, answers, strict=True)]


def read_transcript(folder: Path) -> Transcript:
    """test_results.json of a package.

    Raises:
        UserError: it is missing or has another shape.
    """
    try:
        return Transcript.model_validate(read_json(folder / NAME))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UserError(f"{folder / NAME}: {where}: {first['msg']}; get the package again.") from error


def replay(engine: Engine, transcript: Transcript, folder: Path) -> list[Verdict]:
    """Answers every prompt of a transcript again and compares; its pictures lie in ``folder``."""
    prompts = [prompt_of(case.prompt, case.images, folder) for case in transcript.cases]
    answers = engine.answer(prompts, transcript.max_tokens)
    rows = zip(transcript.cases, prompts, answers, strict=True)
    return [judge(engine, case, prompt, answer) for case, prompt, answer in rows]


def judge(engine: Engine, case: Case, prompt: Prompt, answer: dict[str, Any]) -> Verdict:
    """Compares one answer with the recorded one."""
    if answer["prompt_tokens"] != case.prompt_tokens:
        found = f"the prompt has {answer['prompt_tokens']} tokens here, {case.prompt_tokens} when it was published"
        return Verdict(case.id, "differs", f"{found}: the tokenizer is another.")
    if (answer["ids"], answer["completion"]) == (case.ids, case.completion):
        return Verdict(case.id, "same", f"{len(case.ids)} tokens, all the same.")
    tokens = enumerate(zip(answer["ids"], case.ids, strict=False))
    at = next((index for index, (ours, theirs) in tokens if ours != theirs), None)
    if at is None:
        return Verdict(case.id, "differs", "the answer ends at another place, or reads differently.")
    gap = engine.gap(prompt, case.ids[:at], answer["ids"][at], case.ids[at])
    outcome = "near" if gap <= TOLERANCE else "differs"
    limit = f"{gap:.2f} nats apart there, {TOLERANCE} allowed"
    return Verdict(case.id, outcome, f"parts at token {at + 1} of {len(case.ids)}; the two tokens are {limit}.")
