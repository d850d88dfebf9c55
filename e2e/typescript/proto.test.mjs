// The proto of the management API: well made, and nothing taken away from those who use it.
//
// `buf` judges. `proto/baseline.json` is what the last release had: it is made anew with each release.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";

const proto = resolve("proto");
const baseline = join(proto, "baseline.json");

function buf(folder, ...words) {
  const program = join(resolve(process.env.E2E_NODE), "node_modules/.bin/buf");
  const done = spawnSync(program, words, { cwd: folder, encoding: "utf8", timeout: 60_000 });
  assert.equal(done.error, undefined);
  return { code: done.status, said: done.stdout + done.stderr };
}

/** A copy of the proto with one thing changed. */
async function changed(t, from, to) {
  const folder = await mkdtemp(join(tmpdir(), "proto-"));
  t.after(() => rm(folder, { recursive: true }));
  await cp(proto, folder, { recursive: true });
  const file = join(folder, "relay/v1/relay.proto");
  const text = await readFile(file, "utf8");
  assert.ok(text.includes(from), `${from} is in the proto`);
  await writeFile(file, text.replace(from, to));
  return folder;
}

test("the proto is well made", () => {
  assert.deepEqual(buf(proto, "lint"), { code: 0, said: "" });
});

test("nothing was taken away since the last release", () => {
  assert.deepEqual(buf(proto, "breaking", "--against", baseline), { code: 0, said: "" });
});

test("a field without a word on what it is would be seen", async (t) => {
  const folder = await changed(t, "  // Version of the relay.\n", "");
  const { code, said } = buf(folder, "lint");
  assert.notEqual(code, 0);
  assert.match(said, /should have a non-empty comment/);
});

test("a field that becomes another would be seen", async (t) => {
  const folder = await changed(t, "uint32 pid = 4;", "string pid = 4;");
  const { code, said } = buf(folder, "breaking", "--against", baseline);
  assert.notEqual(code, 0);
  assert.match(said, /pid/);
});
