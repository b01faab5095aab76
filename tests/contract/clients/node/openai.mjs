// The OpenAI library of Node.
import OpenAI from "openai";

import { perform, score } from "./telling.mjs";

const { model, texts } = score;
const question = (content) => [{ role: "user", content }];

// Everything at its defaults, retries included.
function connect(baseURL, apiKey) {
  const completions = new OpenAI({ baseURL, apiKey }).chat.completions;

  async function* plain(text) {
    const answer = await completions.create({ model, messages: question(text) });
    yield answer.choices[0].message.content;
    yield { finish: answer.choices[0].finish_reason, usage: answer.usage, metadata: answer.lumen_metadata };
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

  return { plain, stream, usage: (text) => stream(text, { stream_options: { include_usage: true } }) };
}

const client = new OpenAI({ baseURL: score.url, apiKey: score.key });

const more = {
  "no-messages": async function* () {
    await client.chat.completions.create({ model, messages: [] });
    yield "an answer";
  },
  models: async function* () {
    const listed = [];
    const found = [];
    for await (const { id } of client.models.list()) listed.push(id);
    for (const id of listed) found.push((await client.models.retrieve(id)).id);
    yield { listed, found };
  },
  "unknown-model": async function* () {
    yield (await client.models.retrieve("no-such-model")).id;
  },
  headers: async function* () {
    const asked = client.chat.completions.create({ model, messages: question(texts["korean-nfc"]) });
    const { data, response, request_id: own } = await asked.withResponse();
    yield data.choices[0].message.content;
    yield { request_id: response.headers.get("x-request-id"), own_request_id: own };
  },
  helper: async function* () {
    const stream = client.chat.completions.stream({ model, messages: question(texts["korean-nfc"]) });
    for await (const chunk of stream) yield chunk.choices[0]?.delta.content ?? "";
    yield { finish: (await stream.finalChatCompletion()).choices[0].finish_reason };
  },
};

await perform(connect, more);
