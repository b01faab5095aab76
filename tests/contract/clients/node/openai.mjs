// The OpenAI library of Node.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";

import { instructions, runActs } from "./client_runner.mjs";
import { city } from "./city.mjs";

const { model, texts } = instructions;
const question = (content) => [{ role: "user", content }];

const tool = { type: "function", function: { name: "now", parameters: { type: "object", properties: {} } } };
const placed = zodResponseFormat(city, "city");
const forced = { tools: [tool], tool_choice: "required" };

// Default settings, including retries.
function connect(baseURL, apiKey) {
  const client = new OpenAI({ baseURL, apiKey });
  const { completions } = client.chat;

  async function* plain(text, more = {}) {
    const answer = await completions.create({ model, messages: question(text), ...more });
    const { message, finish_reason: finish } = answer.choices[0];
    yield message.content;
    yield { finish, usage: answer.usage, metadata: answer.lumen_metadata };
    if (message.tool_calls?.length) yield called(message);
  }

  async function* stream(text, more = {}) {
    for await (const chunk of await completions.create({ model, messages: question(text), stream: true, ...more })) {
      for (const { delta, finish_reason: finish } of chunk.choices) {
        if (delta.content) yield delta.content;
        if (finish) yield { finish };
      }
      if (chunk.usage) yield { usage: chunk.usage };
    }
  }

  async function* helper(text, more = {}) {
    const stream = completions.stream({ model, messages: question(text), ...more });
    for await (const chunk of stream) yield chunk.choices[0]?.delta.content ?? "";
    const { message, finish_reason: finish } = (await stream.finalChatCompletion()).choices[0];
    yield { finish, built: message.content };
    if (message.tool_calls?.length) yield called(message);
  }

  async function* models() {
    const listed = [];
    const found = [];
    for await (const { id } of client.models.list()) listed.push(id);
    for (const id of listed) found.push((await client.models.retrieve(id)).id);
    yield { listed, found };
  }

  async function* unknownModel() {
    yield (await client.models.retrieve("no-such-model")).id;
  }

  async function* two(text) {
    const { choices } = await completions.create({ model, messages: question(text), n: 2 });
    yield { answers: choices.map(({ message }) => message.content) };
  }

  // A conversation: the first answer is sent back with another question. The text of the second answer is not recorded:
  // it may contain the history.
  async function* turn(text) {
    const { content } = (await completions.create({ model, messages: question(text) })).choices[0].message;
    const messages = [...question(text), { role: "assistant", content }, ...question(text)];
    yield { finish: (await completions.create({ model, messages })).choices[0].finish_reason };
  }

  async function* json(text) {
    const answer = await completions.create({ model, messages: question(text), response_format: { type: "json_object" } });
    yield { parsed: JSON.parse(answer.choices[0].message.content) };
  }

  async function* parse(text) {
    const answer = await completions.parse({ model, messages: question(text), response_format: placed });
    yield { parsed: answer.choices[0].message.parsed };
  }

  async function* parseStream(text) {
    const stream = completions.stream({ model, messages: question(text), response_format: placed });
    yield { parsed: (await stream.finalChatCompletion()).choices[0].message.parsed };
  }

  const more = {
    helper,
    json,
    parse,
    "parse-stream": parseStream,
    models,
    turn,
    two,
    "unknown-model": unknownModel,
    tools: (text) => plain(text, forced),
    "tools-stream": (text) => helper(text, forced),
  };
  return { plain, stream, usage: (text) => stream(text, { stream_options: { include_usage: true } }), more };
}

const called = ({ tool_calls: calls }) => ({ calls: calls.map((call) => [call.function.name, call.function.arguments]) });

const more = {
  "no-messages": async function* () {
    const client = new OpenAI({ baseURL: instructions.url, apiKey: instructions.key });
    await client.chat.completions.create({ model, messages: [] });
    yield "an answer";
  },
  headers: async function* () {
    const client = new OpenAI({ baseURL: instructions.url, apiKey: instructions.key });
    const asked = client.chat.completions.create({ model, messages: question(texts["korean-nfc"]) });
    const { data, response, request_id: own } = await asked.withResponse();
    yield data.choices[0].message.content;
    yield { request_id: response.headers.get("x-request-id"), own_request_id: own };
  },
};

await runActs(connect, more, ["models", "unknown-model", "helper"]);
