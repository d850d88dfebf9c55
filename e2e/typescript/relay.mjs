// What the tests with the TypeScript SDK share: programs, scripts and comparisons.
//
// In: the folders of the built binaries (E2E_BIN) and of the fetched packages (E2E_NODE).
// Out: the simulator alone (`direct`) and the relay in front of another (`relayed`).
// Everything listens on a free port of 127.0.0.1 and ends with its test.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

// Each program adds a listener for the end of this process.
process.setMaxListeners(0);

const fetched = createRequire(join(resolve(process.env.E2E_NODE), "package.json"));
const sdk = fetched("@anthropic-ai/sdk");

export const Anthropic = sdk.default ?? sdk;

/** A client that never retries by itself, so that a test sees each answer. */
export function client(url, more = {}) {
  return new Anthropic({ apiKey: "sk-ant-fake-for-tests", baseURL: url, maxRetries: 0, timeout: 60_000, ...more });
}

/** The body of one request. */
export function question(text, more = {}) {
  return { model: "claude-sonnet-5-5", max_tokens: 256, messages: [{ role: "user", content: text }], ...more };
}

/** Starts a program and resolves with its address once it prints one that is not `besides`. */
async function start(name, words, { besides, env = {} } = {}) {
  const path = join(resolve(process.env.E2E_BIN), name);
  const child = spawn(path, words, { env: { ...pick("PATH", "HOME", "LLVM_PROFILE_FILE"), ...env } });
  // A test file that dies leaves nothing running.
  process.on("exit", () => child.kill("SIGKILL"));
  const ended = new Promise((done) => child.on("close", (code, signal) => done(code ?? signal)));
  const said = [];
  const url = await new Promise((found, failed) => {
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => {
        said.push(line);
        const match = /http:\/\/127\.0\.0\.1:\d+/.exec(line);
        if (match && !(besides && line.includes(besides))) found(match[0]);
      });
    }
    child.on("error", failed);
    ended.then((code) => failed(new Error(`${name} ended with ${code}: ${said.join("\n")}`)));
  });
  const stop = async () => {
    child.kill("SIGTERM");
    assert.equal(await ended, 0, `${name} did not stop well:\n${said.join("\n")}`);
  };
  return { url, stop };
}

function pick(...names) {
  return Object.fromEntries(names.filter((name) => name in process.env).map((name) => [name, process.env[name]]));
}

async function startSim() {
  const program = await start("cc-relay-sim", ["--listen", "127.0.0.1:0", "--json"]);
  const ask = async (method, path, body) => {
    const answer = await fetch(program.url + path, { method, body: body && JSON.stringify(body) });
    assert.equal(answer.status, 200, `${method} ${path}: ${await answer.clone().text()}`);
    return answer.json();
  };
  return {
    ...program,
    script: (script) => ask("POST", "/__sim/script", script),
    requests: () => ask("GET", "/__sim/requests"),
  };
}

/** Starts both ways to an upstream; `t` stops them when the test ends. */
export async function sides(t) {
  const folder = await mkdtemp(join(tmpdir(), "cc-relay-e2e-"));
  const running = [];
  t.after(async () => {
    for (const program of running.reverse()) await program.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const begin = async (program) => {
    running.push(await program);
    return running.at(-1);
  };
  const direct = await begin(startSim());
  const upstream = await begin(startSim());
  const config = join(folder, "config.yaml");
  await writeFile(
    config,
    // Every JSON document is a YAML document.
    JSON.stringify({
      server: { listen: "127.0.0.1:0" },
      providers: [{ name: "upstream", type: "anthropic", base_url: upstream.url }],
      logging: { format: "json", level: "info" },
    }),
    { mode: 0o600 },
  );
  const words = ["serve", "--config", config];
  // Without the relay only the tests themselves are checked.
  const relay = process.env.E2E_WITHOUT_RELAY
    ? upstream
    : await begin(start("cc-relay", words, { besides: upstream.url, env: { HOME: folder } }));
  return new Sides({ url: direct.url, sim: direct }, { url: relay.url, sim: upstream });
}

class Sides {
  constructor(direct, relayed) {
    this.direct = direct;
    this.relayed = relayed;
  }

  /** Does the same on each side and returns what was the same on both. */
  async both(scripts, act) {
    const direct = await this.on(this.direct, scripts, act);
    const relayed = await this.on(this.relayed, scripts, act);
    assert.deepEqual(relayed, direct);
    assert.deepEqual(await received(this.relayed.sim), await received(this.direct.sim));
    return relayed;
  }

  /** Does it through the relay alone, where a direct client would behave worse. */
  onRelay(scripts, act) {
    return this.on(this.relayed, scripts, act);
  }

  async on(side, scripts, act) {
    for (const script of scripts) await side.sim.script(script);
    return act(side.url);
  }
}

const OF_ONE_CONNECTION = new Set(["host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"]);

/** The requests as an upstream received them, without what belongs to one connection. */
async function received(sim) {
  const requests = await sim.requests();
  return requests.map((request) => ({
    method: request.method,
    target: request.path_and_query,
    // Order among different names means nothing; order among equal ones does.
    headers: request.headers
      .map(([name, value]) => [name.toLowerCase(), value])
      .filter(([name]) => !OF_ONE_CONNECTION.has(name))
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
    sha256: request.body_sha256,
  }));
}
