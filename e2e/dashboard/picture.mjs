// Draws answered panels in a browser.
//
// In: panels with their series, and the range. Out: a picture, and how much was drawn in each panel.
// The page gets all it asks for from here: the browser reaches no network. Packages are those of
// E2E_NODE_DASHBOARD, or of this folder.

import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const PLACE = resolve(process.env.E2E_NODE_DASHBOARD ?? HERE);
const packages = createRequire(join(PLACE, "package.json"));

/** A name that no machine has; `.test` is kept for that (RFC 6761). */
const ORIGIN = "http://dashboard.test";
const ICONS = "/public/build/img/icons/";
const WIDTH = 1600;
const PATIENCE = 60_000;

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The page's programs and styles in one file each. */
async function bundled() {
  const { build } = packages("esbuild");
  const { outputFiles } = await build({
    entryPoints: [join(HERE, "page/main.jsx")],
    outdir: "/",
    bundle: true,
    write: false,
    format: "esm",
    minify: true,
    logLevel: "error",
    nodePaths: [join(PLACE, "node_modules")],
    define: { "process.env.NODE_ENV": '"production"', global: "window" },
    loader: { ".svg": "text", ".ttf": "empty", ".woff": "empty", ".woff2": "empty" },
  });
  return Object.fromEntries(outputFiles.map(({ path, text }) => [path.split("/").pop(), text]));
}

function chromiumOfThisMachine() {
  return execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
}

/**
 * Draws, and returns `{ png, seen }`: the picture, and of each panel its words, its charts and how
 * many coloured pixels they have.
 */
export async function drawn(dashboard) {
  const files = await bundled();
  const { chromium } = packages("playwright-core");
  const folder = await mkdtemp(join(tmpdir(), "cc-relay-browser-"));
  const browser = await chromium.launchPersistentContext(folder, {
    executablePath: chromiumOfThisMachine(),
    headless: true,
    args: FLAGS,
    viewport: { width: WIDTH, height: 1200 },
    timezoneId: "UTC",
    locale: "en-US",
  });
  try {
    const page = await browser.newPage();
    const said = [];
    page.on("pageerror", (fault) => said.push(fault.stack ?? String(fault)));
    page.on("response", (answer) => answer.status() === 404 && said.push(`not there: ${answer.url()}`));
    page.on("console", (line) => line.type() === "error" && said.push(line.text()));
    await page.route("**/*", (route) => serve(route, files));
    await page.addInitScript((given) => (window.dashboard = given), { ...dashboard, width: WIDTH });
    await page.goto(`${ORIGIN}/`);
    await page.waitForFunction(() => window.drawn, null, { timeout: PATIENCE }).catch((fault) => {
      throw new Error(`the page was not drawn: ${fault.message}\n${said.join("\n")}`);
    });
    await page.waitForLoadState("networkidle");
    if (said.length) throw new Error(`the page complains:\n${said.join("\n")}`);
    return { png: smaller(await page.screenshot({ fullPage: true })), seen: await page.evaluate(look) };
  } finally {
    await browser.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Packs a picture tighter than the browser does, which is in a hurry: flat colours need no filter. */
function smaller(png) {
  const { PNG } = packages("pngjs");
  const packed = { colorType: 2, deflateLevel: 9, deflateStrategy: 0, filterType: 0 };
  return PNG.sync.write(PNG.sync.read(png), packed);
}

/** Answers the page out of the bundle and the packages. */
async function serve(route, files) {
  const { pathname } = new URL(route.request().url());
  const name = pathname.split("/").pop();
  const weight = { "Inter-Regular.woff2": 400, "Inter-Medium.woff2": 500 }[name];
  if (pathname === "/") {
    const styles = "main.css" in files ? '<link rel="stylesheet" href="/main.css">' : "";
    const head = `<!doctype html><meta charset="utf-8">${styles}`;
    const root = '<body style="margin: 0; padding: 0"><div id="root"></div>';
    const body = `${head}${root}<script type="module" src="/main.js"></script>`;
    return route.fulfill({ contentType: "text/html", body });
  }
  if (name in files) {
    return route.fulfill({ contentType: name.endsWith(".css") ? "text/css" : "text/javascript", body: files[name] });
  }
  if (weight) {
    const file = join(PLACE, `node_modules/@fontsource/inter/files/inter-latin-${weight}-normal.woff2`);
    return route.fulfill({ contentType: "font/woff2", body: await readFile(file) });
  }
  if (pathname.startsWith(ICONS)) {
    const file = join(PLACE, "node_modules/@grafana/ui/dist/public/img/icons", pathname.slice(ICONS.length));
    return route.fulfill({ contentType: "image/svg+xml", body: await readFile(file) });
  }
  return route.fulfill({ status: pathname === "/favicon.ico" ? 204 : 404 });
}

/** Runs in the page: reads each panel's words and counts the coloured pixels of its charts. */
function look() {
  const found = {};
  for (const panel of document.querySelectorAll("[id^=panel-]")) {
    const charts = panel.querySelectorAll("canvas");
    let coloured = 0;
    for (const canvas of charts) {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      for (let at = 0; at < data.length; at += 4) {
        const parts = [data[at], data[at + 1], data[at + 2]];
        // The grid and the axes are grey, or nearly so.
        if (data[at + 3] && Math.max(...parts) - Math.min(...parts) > 60) coloured += 1;
      }
    }
    found[panel.id.slice("panel-".length)] = { charts: charts.length, coloured, words: panel.innerText };
  }
  return found;
}
