// Whether contrib/grafana/cc-relay.json shows what it says, out of a recording of a real relay.
//
// In: the dashboard and `recording.om.gz`, or the file that E2E_RECORDING names. Out: tests, and the
// picture in the build folder, or in docs/assets where CC_RELAY_WRITE_DOCS is set. Pixels are not
// compared: fonts and browsers differ.

import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { drawn } from "./picture.mjs";
import { Prometheus } from "./prometheus.mjs";
import { answers } from "./questions.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, "../..");
const RECORDING = process.env.E2E_RECORDING ?? join(HERE, "recording.om.gz");
const PICTURE = process.env.CC_RELAY_WRITE_DOCS
  ? join(ROOT, "docs/assets/grafana.png")
  : join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "e2e/grafana.png");

/** Pixels of a line that is long enough to be seen. */
const SEEN = 50;

const dashboard = JSON.parse(await readFile(join(ROOT, "contrib/grafana/cc-relay.json"), "utf8"));
let prometheus;

before(async () => (prometheus = await Prometheus.of(RECORDING)));
after(() => prometheus?.stop());

/** The dashboard with another first panel. */
function changed(change) {
  const copy = structuredClone(dashboard);
  change(copy.panels[0]);
  return copy;
}

test("every question of every panel has an answer, and every panel is drawn", async () => {
  const panels = await answers(dashboard, prometheus);
  const { png, seen } = await drawn({ panels, from: prometheus.from, to: prometheus.to });
  for (const { id, title } of dashboard.panels) {
    const { charts, coloured, words } = seen[id];
    assert.ok(words.includes(title), `panel ${id} does not show its title, ${title}: ${words}`);
    assert.ok(!/no data/i.test(words), `panel ${id} (${title}) says: ${words}`);
    if (charts) assert.ok(coloured > SEEN, `panel ${id} (${title}) is empty: ${coloured} coloured pixels`);
    else assert.notEqual(words.replace(title, "").trim(), "", `panel ${id} (${title}) is empty`);
  }
  await mkdir(dirname(PICTURE), { recursive: true });
  await writeFile(PICTURE, png);
});

test("a question that nothing answers is a fault", async () => {
  const other = changed(({ targets }) => (targets[0].expr = "ccrelay_no_such_metric"));
  const fault = /question A: nothing in the recording answers ccrelay_no_such_metric/;
  await assert.rejects(answers(other, prometheus), fault);
});

test("a question that Prometheus does not understand is a fault", async () => {
  const other = changed(({ targets }) => (targets[0].expr = "sum("));
  await assert.rejects(answers(other, prometheus), /question A: .*parse error/);
});

test("a panel that cannot be drawn is a fault", async () => {
  const other = changed((panel) => (panel.type = "heatmap"));
  const fault = /is a heatmap: only stat, state-timeline, timeseries can be drawn/;
  await assert.rejects(answers(other, prometheus), fault);
});
