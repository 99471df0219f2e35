// How an app uses this package: prompt the model, read its answer, act on its tool calls.
//
// Nothing here is specific to a library. `serverCompleter` talks to llama.cpp's llama-server (run-llama-server.sh);
// on a phone, pass a function of your on-device library (llama.rn, Cactus and the like) to `Session` in its place.
//
//   npx tsc --noEmit --strict --target es2022 --module esnext --moduleResolution bundler --resolveJsonModule integration-example.ts

import config from "./cactus_config.json" with { type: "json" };

export type Role = "system" | "user" | "assistant" | "tool";
export type Message = { role: Role; content: string };
export type Settings = typeof config.generation;
export type Completer = (messages: Message[], settings: Settings) => Promise<string>;
/** `args` are in the order of the tool's form; `known` is false for a tool the registry does not have. */
export type Call = { name: string; args: string[]; known: boolean; raw: string };

const TOOLS = new Map(config.tools.supported.map((tool) => [tool.name.toLowerCase(), tool]));

/** The calls of an answer, in order: `[check: stealth, Pip]` gives name "check" and args ["stealth", "Pip"]. */
export function parseCalls(answer: string): Call[] {
  const calls: Call[] = [];
  for (const match of answer.matchAll(/\[([A-Za-z][\w -]*?)(?:\s*:\s*([^\[\]]*))?\]/g)) {
    const name = match[1].trim().toLowerCase();
    const known = TOOLS.has(name);
    // A bracket without arguments that names no tool is an aside, such as [laughs].
    if (!known && match[2] === undefined) continue;
    const args = (match[2] ?? "").split(",").map((part) => part.trim()).filter((part) => part !== "");
    calls.push({ name, args, known, raw: match[0] });
  }
  return calls;
}

/** What is wrong with a call before the game acts on it; empty when it can be carried out. */
export function problems(call: Call, party: string[]): string[] {
  const tool = TOOLS.get(call.name);
  if (tool === undefined) return [`${call.raw}: no such tool`];
  const found: string[] = [];
  const parameters: readonly string[] = tool.parameters;
  if (call.args.length !== parameters.length) found.push(`${call.raw}: expected ${tool.form}`);
  const character = call.args[parameters.indexOf("character")];
  if (character !== undefined && !party.includes(character)) found.push(`${call.raw}: ${character} is not in the party`);
  return found;
}

/** Completes through llama-server's OpenAI-compatible route. */
export function serverCompleter(server = "http://127.0.0.1:8080"): Completer {
  return async (messages, settings) => {
    const response = await fetch(`${server}/v1/chat/completions`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ messages, ...settings }),
    });
    if (!response.ok) throw new Error(`llama-server answered ${response.status}: ${await response.text()}`);
    const body = (await response.json()) as { choices: { message: { content: string } }[] };
    return body.choices[0].message.content;
  };
}

/** One game at the table. The system prompt goes first, as in training; the scenario's own setting follows it. */
export class Session {
  readonly messages: Message[];

  constructor(
    private readonly complete: Completer,
    private readonly party: string[],
    setting = "",
  ) {
    const system = [config.system_prompt, setting].filter((text) => text !== "").join("\n\n");
    this.messages = [{ role: "system", content: system }];
  }

  /** What a player says in, the dungeon master's answer and its calls out. */
  async say(text: string): Promise<{ answer: string; calls: Call[]; refused: string[] }> {
    this.messages.push({ role: "user", content: text });
    return this.next();
  }

  /** The result of a call that the game carried out, such as "stealth: Pip rolls 1d20+5 = 17". */
  async report(result: string): Promise<{ answer: string; calls: Call[]; refused: string[] }> {
    this.messages.push({ role: "tool", content: result });
    return this.next();
  }

  private async next(): Promise<{ answer: string; calls: Call[]; refused: string[] }> {
    const answer = await this.complete(this.messages, config.generation);
    this.messages.push({ role: "assistant", content: answer });
    const calls = config.tools.enabled ? parseCalls(answer) : [];
    // A small model errs: never carry out a call that is not checked.
    const sound = calls.filter((call) => problems(call, this.party).length === 0);
    return { answer, calls: sound, refused: calls.flatMap((call) => problems(call, this.party)) };
  }
}

/** Two turns with a running llama-server. */
export async function example(): Promise<void> {
  const party = ["Aria", "Pip"];
  const game = new Session(serverCompleter(), party, `Party: ${party.join(", ")}`);
  const first = await game.say("Pip creeps past the sleeping guard.");
  console.log(first.answer, first.calls, first.refused);
  if (first.calls.length > 0) {
    const second = await game.report(`${first.calls[0].name}: 1d20+5 = 12+5 = 17`);
    console.log(second.answer);
  }
}
