// A Prometheus that knows one recording.
//
// In: a file of OpenMetrics with times, gzipped. Out: the recording's range, and answers to
// questions. It runs on a free port of 127.0.0.1 with a folder of its own, asks nobody, and ends
// with `stop`, or with this process.

import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { gunzipSync } from "node:zlib";

/** Milliseconds that it may take to read its blocks. */
const PATIENCE = 60_000;

export class Prometheus {
  static async of(recording) {
    const text = gunzipSync(await readFile(recording)).toString();
    const folder = await mkdtemp(join(tmpdir(), "cc-relay-dashboard-"));
    const prometheus = new Prometheus(folder, range(text));
    try {
      await prometheus.#load(text);
      await prometheus.#start();
    } catch (fault) {
      await prometheus.stop();
      throw fault;
    }
    return prometheus;
  }

  #folder;
  #child;
  #url;
  #ended = Promise.resolve();
  #kill = () => this.#child?.kill("SIGKILL");

  constructor(folder, { from, to }) {
    this.#folder = folder;
    /** Seconds since the Unix epoch. */
    this.from = from;
    this.to = to;
  }

  /** The values of a label among the series that `selector` names. */
  async labels(selector, label) {
    return this.#ask(`label/${label}/values`, { "match[]": selector, start: this.from, end: this.to });
  }

  /** The series that answer a question, each with `metric` and `values`, over the recording. */
  async series(query, step) {
    const { result } = await this.#ask("query_range", { query, start: this.from, end: this.to, step });
    return result;
  }

  async stop() {
    this.#child?.kill("SIGTERM");
    await this.#ended;
    process.off("exit", this.#kill);
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #load(text) {
    const file = join(this.#folder, "recording.om");
    await writeFile(file, text);
    const words = ["tsdb", "create-blocks-from", "openmetrics", file, join(this.#folder, "data")];
    await promisify(execFile)("promtool", words);
  }

  async #start() {
    const config = join(this.#folder, "prometheus.yaml");
    await writeFile(config, "scrape_configs: []\n");
    const address = `127.0.0.1:${await freePort()}`;
    this.#child = spawn("prometheus", [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(this.#folder, "data")}`,
      // The recording is as old as it is.
      "--storage.tsdb.retention.time=100y",
      `--web.listen-address=${address}`,
    ]);
    process.on("exit", this.#kill);
    const said = [];
    this.#ended = new Promise((done) => this.#child.on("close", done));
    await new Promise((ready, failed) => {
      const late = setTimeout(() => failed(new Error(`prometheus is not ready:\n${said.join("\n")}`)), PATIENCE);
      createInterface({ input: this.#child.stderr }).on("line", (line) => {
        said.push(line);
        if (line.includes("Server is ready to receive web requests")) ready(clearTimeout(late));
      });
      this.#child.on("error", failed);
      this.#ended.then((code) => failed(new Error(`prometheus ended with ${code}:\n${said.join("\n")}`)));
    });
    this.#url = `http://${address}/api/v1`;
  }

  async #ask(path, words) {
    const answer = await fetch(`${this.#url}/${path}?${new URLSearchParams(words)}`);
    const { status, data, error } = await answer.json();
    if (status !== "success") throw new Error(error);
    return data;
  }
}

/** When the first and the last sample of a recording were taken. */
function range(text) {
  let [from, to] = [Infinity, -Infinity];
  for (const line of text.split("\n")) {
    if (line.startsWith("#") || line === "") continue;
    const at = Number(line.slice(line.lastIndexOf(" ") + 1));
    from = Math.min(from, at);
    to = Math.max(to, at);
  }
  return { from, to };
}

/** A port that nobody listens on; Prometheus does not say which one it took for 0. */
async function freePort() {
  const server = createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
}
