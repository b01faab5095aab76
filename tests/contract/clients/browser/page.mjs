// The OpenAI library in a web page, with its default settings.
import OpenAI from "openai";

/** Send one question. Returns the answer or the error, and every HTTP attempt of the library. */
async function ask({ url, key, headers, path, method, body, stream, cut }) {
  const attempts = [];

  async function observedFetch(address, init) {
    const sent = cut ? { ...init, body: init.body.slice(0, -1) } : init;
    const attempt = { at_s: performance.now() / 1000, status: null, headers: {} };
    attempts.push(attempt);
    const response = await fetch(address, sent);
    attempt.status = response.status;
    attempt.headers = Object.fromEntries(response.headers);
    return response;
  }

  const client = new OpenAI({
    baseURL: `${url}/v1`,
    apiKey: key,
    fetch: observedFetch,
    dangerouslyAllowBrowser: true,
  });
  try {
    return { attempts, text: await answer(client[method](path, { body, headers, stream }), stream), error: null };
  } catch ({ constructor, status, code, message, requestID }) {
    const error = { class: constructor.name, status, code, message, request_id: requestID };
    return { attempts, text: null, error };
  }
}

async function answer(request, stream) {
  if (!stream) return (await request).choices[0].message.content;
  let text = "";
  for await (const chunk of await request) text += chunk.choices[0]?.delta.content ?? "";
  return text;
}

/** Send all questions at once. Takes name → question, returns name → result. */
globalThis.askAll = async (questions) => {
  const results = await Promise.all(Object.values(questions).map(ask));
  return Object.fromEntries(Object.keys(questions).map((name, index) => [name, results[index]]));
};
