"""The smoke transcript: what the shipped file answers to a few test prompts, greedily, and its replay elsewhere.

Two machines may round differently, and where two tokens are nearly equally likely a greedy answer then takes the
other one and goes its own way from there. So a replay agrees with the transcript if its answer is the same, or
if at the first token where they part the model itself holds both for nearly equally likely (`TOLERANCE`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scripts.lib.cli import UserError
from scripts.lib.files import read_json

NAME = "test_results.json"
# Nats between the log-probabilities of two tokens. Kernels for other processors move a quantised model's logits by
# some hundredths up to a few tenths; a damaged or different model is off by whole nats within a token or two.
TOLERANCE = 0.5


class Case(BaseModel):
    """One prompt and its greedy answer."""

    model_config = ConfigDict(extra="forbid")
    id: str
    answer: int = Field(ge=0)
    prompt: str
    prompt_tokens: int = Field(ge=1, le=1 << 20)
    completion: str
    ids: list[int]
    finish: str


class Transcript(BaseModel):
    """test_results.json; ``file`` is a model file of the package and ``sha256`` its hash."""

    model_config = ConfigDict(extra="forbid")
    file: str
    sha256: str
    engine: str
    decoding: str = "greedy"
    max_tokens: int = Field(ge=1, le=1 << 16)
    cases: list[Case] = Field(min_length=1)


class Engine(Protocol):
    """Something that answers prompts greedily."""

    def answer(self, prompts: Sequence[str], max_tokens: int) -> list[dict[str, Any]]:
        """For each prompt: prompt_tokens, completion, ids, finish."""

    def gap(self, prompt: str, ids: Sequence[int], one: int, other: int) -> float:
        """Nats between the log-probabilities of two tokens after the prompt and ``ids``."""


class GgufEngine:
    """A GGUF in llama.cpp. ``context`` has room for the longest prompt and its answer."""

    def __init__(self, path: Path, server: Any, context: int) -> None:
        self.path, self.server, self.context = path, server, context

    def answer(self, prompts: Sequence[str], max_tokens: int) -> list[dict[str, Any]]:
        answers = []
        for prompt in prompts:
            said, ids = self.server.complete_ids(prompt, max_tokens)
            counts = {"prompt_tokens": said.prompt_tokens, "finish": said.finish}
            answers.append({"completion": said.text, "ids": ids, **counts})
        return answers

    def gap(self, prompt: str, ids: Sequence[int], one: int, other: int) -> float:
        from scripts.model.llama import LogitReader

        past = [*self.server.tokenize(prompt), *ids]
        with LogitReader(self.path, context=max(32, len(past))) as reader:
            row = next(reader.rows(past, first=len(past) - 1))
        return abs(float(row[one]) - float(row[other])) if max(one, other) < len(row) else float("inf")


class HfEngine:
    """A folder with safetensors in transformers, on the CPU in float32."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        # A package may come from anywhere: no network, no pickles, no code of its own.
        local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        self.tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32", use_safetensors=True, **local)
        self.model = model.eval()

    def answer(self, prompts: Sequence[str], max_tokens: int) -> list[dict[str, Any]]:
        return [self.one(prompt, max_tokens) for prompt in prompts]

    def one(self, prompt: str, max_tokens: int) -> dict[str, Any]:
        """The greedy answer to one prompt."""
        import torch

        past = torch.tensor([self.tokenizer(prompt, add_special_tokens=False)["input_ids"]])
        settings = {"do_sample": False, "max_new_tokens": max_tokens, "pad_token_id": self.tokenizer.eos_token_id}
        with torch.inference_mode():
            ids = self.model.generate(past, attention_mask=torch.ones_like(past), **settings)[
                0, past.shape[1] :
            ].tolist()
        ended = bool(ids) and ids[-1] in end_ids(self.model, self.tokenizer)
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        return {"prompt_tokens": past.shape[1], "completion": text, "ids": ids, "finish": "stop" if ended else "length"}

    def gap(self, prompt: str, ids: Sequence[int], one: int, other: int) -> float:
        import torch

        past = torch.tensor([[*self.tokenizer(prompt, add_special_tokens=False)["input_ids"], *ids]])
        with torch.inference_mode():
            row = self.model(past).logits[0, -1]
        return abs(float(row[one] - row[other])) if max(one, other) < len(row) else float("inf")


def end_ids(model: Any, tokenizer: Any) -> set[int]:
    """Ids that end an answer."""
    ids = model.generation_config.eos_token_id
    return {*(ids if isinstance(ids, list) else [ids]), tokenizer.eos_token_id}


@contextmanager
def open_gguf(path: Path, context: int) -> Any:
    """llama.cpp's server for one GGUF, a prompt at a time."""
    from scripts.model.llama import Server

    with Server(path, slots=1, context=context) as server:
        yield GgufEngine(path, server, context)


def open_engine(folder: Path, transcript: Transcript) -> AbstractContextManager[Engine]:
    """The engine that the transcript was made with.

    Raises:
        UserError: the transcript names an engine or a file that a package cannot have.
    """
    from contextlib import nullcontext

    from scripts.lib.files import inside

    if transcript.engine == "llama.cpp":
        context = max(case.prompt_tokens for case in transcript.cases) + transcript.max_tokens + 8
        return open_gguf(inside(folder, transcript.file), context)
    if transcript.engine == "transformers":
        return nullcontext(HfEngine(folder))
    raise UserError(f"{folder / NAME}: engine {transcript.engine!r} is neither llama.cpp nor transformers.")


def record(engine: Engine, prompts: list[dict[str, Any]], max_tokens: int) -> list[Case]:
    """Answers to prompts, each ``{"id", "answer", "prompt"}``."""
    answers = engine.answer([row["prompt"] for row in prompts], max_tokens)
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


@dataclass(frozen=True)
class Verdict:
    """How one replayed answer compares: same, near (parted at a near tie) or differs."""

    id: str
    outcome: str
    detail: str


def replay(engine: Engine, transcript: Transcript) -> list[Verdict]:
    """Answers every prompt of a transcript again and compares."""
    answers = engine.answer([case.prompt for case in transcript.cases], transcript.max_tokens)
    return [judge(engine, case, answer) for case, answer in zip(transcript.cases, answers, strict=True)]


def judge(engine: Engine, case: Case, answer: dict[str, Any]) -> Verdict:
    """Compares one answer with the recorded one."""
    if answer["prompt_tokens"] != case.prompt_tokens:
        found = f"the prompt has {answer['prompt_tokens']} tokens here, {case.prompt_tokens} when it was published"
        return Verdict(case.id, "differs", f"{found}: the tokenizer is another.")
    if (answer["ids"], answer["completion"]) == (case.ids, case.completion):
        return Verdict(case.id, "same", f"{len(case.ids)} tokens, all the same.")
    at = parting(answer["ids"], case.ids)
    if at is None:
        return Verdict(case.id, "differs", "the answer ends at another place, or reads differently.")
    gap = engine.gap(case.prompt, case.ids[:at], answer["ids"][at], case.ids[at])
    outcome = "near" if gap <= TOLERANCE else "differs"
    limit = f"{gap:.2f} nats apart there, {TOLERANCE} allowed"
    return Verdict(case.id, outcome, f"parts at token {at + 1} of {len(case.ids)}; the two tokens are {limit}.")


def parting(one: Sequence[int], other: Sequence[int]) -> int | None:
    """The first position at which both have a token and these differ, or None."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
