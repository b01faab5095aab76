// The AI SDK with its provider for OpenAI-compatible servers.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, streamText, tool } from "ai";
import { z } from "zod";

import { instructions, runActs } from "./client_runner.mjs";
import { city } from "./city.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
const LIMIT_TOKENS = 100; // as python/client_runner.py has it

// Default settings; usage in streams is an option. The AI SDK retries whatever x-should-retry says; a program turns
// that off by `maxRetries: 0`, which `more` can have.
function connect(baseURL, apiKey, more = {}) {
  const provider = (options) => createOpenAICompatible({ name: "lumen", baseURL, apiKey, ...options })(instructions.model);
  const ours = (includeUsage) => provider({ includeUsage });

  const plain = (text) => answered({ prompt: text });

  async function* answered(asked) {
    const answer = await generateText({ model: ours(false), ...asked, ...more });
    yield answer.text;
    yield { finish: answer.finishReason, usage: counted(answer.usage) };
  }

  async function* stream(text, includeUsage = false) {
    const errors = [];
    const answer = streamText({ model: ours(includeUsage), prompt: text, onError: ({ error }) => void errors.push(error), ...more });
    for await (const part of answer.fullStream) {
      if (part.type === "text-delta") yield part.text;
      if (part.type === "finish") yield { finish: part.finishReason, usage: counted(part.totalUsage) };
      if (part.type === "error") errors.push(part.error);
    }
    if (errors.length) throw errors[0];
  }

  async function* tools(text) {
    const answer = await generateText({ model: ours(false), prompt: text, ...forced, ...more });
    yield called(answer.toolCalls);
  }

  async function* toolsStream(text) {
    const errors = [];
    const onError = ({ error }) => void errors.push(error);
    const answer = streamText({ model: ours(false), prompt: text, onError, ...forced, ...more });
    yield called(await answer.toolCalls);
    if (errors.length) throw errors[0];
  }

  // A provider has to be told that its server knows schemas.
  const placed = () => ({ model: provider({ supportsStructuredOutputs: true }), output: Output.object({ schema: city }), ...more });

  async function* parse(text) {
    yield { parsed: (await generateText({ prompt: text, ...placed() })).output };
  }

  async function* parseStream(text) {
    const errors = [];
    const answer = streamText({ prompt: text, onError: ({ error }) => void errors.push(error), ...placed() });
    yield { parsed: await answer.output };
    if (errors.length) throw errors[0];
  }

  const asks = {
    parse,
    "parse-stream": parseStream,
    limited: (text) => answered({ prompt: text, maxOutputTokens: LIMIT_TOKENS }),
    instructed: (text) => answered({ system: "Be brief.", prompt: text }),
    parts: (text) => answered({ messages: [{ role: "user", content: ["Be brief.", text].map((each) => ({ type: "text", text: each })) }] }),
  };
  return { plain, stream, usage: (text) => stream(text, true), more: { tools, "tools-stream": toolsStream, ...asks } };
}

const forced = { tools: { now: tool({ description: "The time.", inputSchema: z.object({}) }) }, toolChoice: "required" };
const called = (calls) => ({ calls: calls.map(({ toolName, input }) => [toolName, JSON.stringify(input)]) });

// Rename the counts of the AI SDK to those of the API.
function counted({ inputTokens, outputTokens, totalTokens }) {
  return { prompt_tokens: inputTokens, completion_tokens: outputTokens, total_tokens: totalTokens };
}

const once = connect(instructions.url, instructions.key, { maxRetries: 0 });

await runActs(connect, { "lost-once": () => once.plain("@lost-once"), "lost-once-stream": () => once.stream("@lost-once-stream") });
