// The official TypeScript SDK through the relay: what works, works as without it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Anthropic, client, question, sides } from "./relay.mjs";

const plain = (value) => JSON.parse(JSON.stringify(value));

test("a streamed text arrives", async (t) => {
  const both = await sides(t);
  const [events, message] = await both.both([{ text: "hello from upstream" }], async (url) => {
    const seen = [];
    const stream = client(url).messages.stream(question("hi"));
    stream.on("streamEvent", (event) => seen.push(plain(event)));
    return [seen, plain(await stream.finalMessage())];
  });
  assert.equal(events[0].type, "message_start");
  assert.equal(events.at(-1).type, "message_stop");
  assert.equal(message.content[0].text, "hello from upstream");
});

test("a text that is not streamed arrives", async (t) => {
  const both = await sides(t);
  const message = await both.both([{ text: "all at once" }], async (url) =>
    plain(await client(url).messages.create(question("hi"))),
  );
  assert.equal(message.content[0].text, "all at once");
});

test("a tool turn takes two requests", async (t) => {
  const both = await sides(t);
  const tools = [{ name: "add", description: "Adds.", input_schema: { type: "object", properties: {} } }];
  const answer = await both.both([{ tool_use: { name: "add", input: { a: 1 } } }, { text: "three" }], async (url) => {
    const asked = question("add", { tools });
    const first = await client(url).messages.create(asked);
    const result = { type: "tool_result", tool_use_id: first.content[0].id, content: "3" };
    const messages = [...asked.messages, { role: "assistant", content: first.content }, { role: "user", content: [result] }];
    return plain(await client(url).messages.create({ ...asked, messages }));
  });
  assert.equal(answer.content[0].text, "three");
});

test("thinking goes back with its signature", async (t) => {
  const both = await sides(t);
  const signature = "EqQBCgIYAhIM+/=".repeat(20);
  const scripts = [{ thinking: { text: "let me see \u{1F914}", signature, answer: "done" } }, { text: "still done" }];
  await both.both(scripts, async (url) => {
    const asked = question("think", { thinking: { type: "enabled", budget_tokens: 1024 }, max_tokens: 2048 });
    const first = await client(url).messages.stream(asked).finalMessage();
    const messages = [...asked.messages, { role: "assistant", content: first.content }, { role: "user", content: "now?" }];
    return plain(await client(url).messages.create({ ...asked, messages }));
  });
  const sent = JSON.parse((await both.relayed.sim.requests())[1].body);
  assert.equal(sent.messages[1].content[0].signature, signature);
});

test("tokens are counted", async (t) => {
  const both = await sides(t);
  const { max_tokens: _, ...asked } = question("how many");
  const counted = await both.both([], async (url) => plain(await client(url).messages.countTokens(asked)));
  assert.ok(counted.input_tokens > 0);
});

test("models are listed and described", async (t) => {
  const both = await sides(t);
  const [listed, described] = await both.both([], async (url) => {
    const all = [];
    for await (const model of client(url).models.list({ limit: 1000 })) all.push(plain(model));
    return [all, plain(await client(url).models.retrieve("claude-opus-5-5"))];
  });
  assert.ok(listed.some((model) => model.id === described.id));
});

test("betas and the key in each of its forms reach the upstream", async (t) => {
  const both = await sides(t);
  const forms = [{}, { apiKey: null, authToken: "sk-ant-fake-token" }, { defaultHeaders: { "x-api-key": "sk-ant-fake-key" } }];
  for (const form of forms) {
    await both.both([{ text: "fine" }], async (url) => {
      const asked = question("hi", { betas: ["one-2025-01-01", "unheard-of-2031-01-01"] });
      return plain(await client(url, form).beta.messages.create(asked));
    });
  }
  const last = (await both.relayed.sim.requests()).at(-1);
  assert.ok(last.headers.some(([name, value]) => name.toLowerCase() === "anthropic-beta" && value.includes("unheard-of")));
});

const REFUSALS = {
  400: ["invalid_request_error", "BadRequestError"],
  401: ["authentication_error", "AuthenticationError"],
  403: ["permission_error", "PermissionDeniedError"],
  404: ["not_found_error", "NotFoundError"],
  413: ["request_too_large", "APIError"],
  429: ["rate_limit_error", "RateLimitError"],
  500: ["api_error", "InternalServerError"],
  529: ["overloaded_error", "InternalServerError"],
};

for (const [status, [type, name]] of Object.entries(REFUSALS)) {
  test(`a ${status} is the same error`, async (t) => {
    const both = await sides(t);
    for (const stream of [false, true]) {
      const headers = status === "429" ? [["retry-after", "17"]] : [];
      const script = { status: Number(status), error: { type, message: `said upstream: ${status}` }, headers };
      const fault = await both.both([script], async (url) => {
        const caught = await client(url).messages.create(question("hi", { stream })).catch((error) => error);
        assert.ok(caught instanceof Anthropic[name], `${caught}`);
        const { status, message, requestID, error } = caught;
        return { kind: caught.constructor.name, status, message, requestID, error, after: caught.headers.get("retry-after") };
      });
      assert.equal(fault.status, Number(status));
      assert.match(fault.requestID, /^req_/);
      assert.match(fault.message, /said upstream/);
      assert.equal(fault.after, status === "429" ? "17" : null);
    }
  });
}

test("an error in a stream is the same error", async (t) => {
  const both = await sides(t);
  const script = { text: "never read to its end", fault: "error-event-after:4:overloaded_error:Overloaded" };
  const fault = await both.both([script], async (url) => {
    const caught = await client(url).messages.stream(question("hi")).finalMessage().catch((error) => error);
    return { kind: caught.constructor.name, message: caught.message };
  });
  assert.match(fault.message, /Overloaded/);
});

for (const how of ["reset", "close", "clean-end"]) {
  test(`a stream cut by ${how} is never a whole one`, async (t) => {
    const both = await sides(t);
    const text = "seven words that make up one answer";
    const whole = await both.on(both.direct, [{ text }], async (url) => {
      const seen = [];
      for await (const event of await client(url).messages.create(question("hi", { stream: true }))) seen.push(event);
      return seen.length;
    });
    for (let sent = 1; sent < whole; sent += 1) {
      const fault = `${how}-after-events:${sent}`;
      // Iteration by hand ends silently when an upstream ends cleanly; through the relay it must not.
      const iterated = both.onRelay([{ text, fault }], async (url) => {
        for await (const _ of await client(url).messages.create(question("hi", { stream: true })));
      });
      await assert.rejects(iterated, `iterated, ${fault}`);
      const final = both.onRelay([{ text, fault }], (url) => client(url).messages.stream(question("hi")).finalMessage());
      await assert.rejects(final, `finalMessage, ${fault}`);
    }
  });
}
