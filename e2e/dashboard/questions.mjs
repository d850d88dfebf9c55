// What a dashboard asks, as Grafana would ask it.
//
// In: the dashboard's JSON and a Prometheus. Out: each panel with the series that answer it. A
// question that errs, one that nothing answers, and a type of panel that nobody here can draw are
// faults, all of them named at once.

/** The types that `page/panels.jsx` draws. */
export const DRAWN = ["stat", "state-timeline", "timeseries"];

/** Seconds between two points: that between two scrapes, the least that Grafana would ask for. */
const STEP = 15;

/** Asks everything; throws with a line for each fault. */
export async function answers(dashboard, prometheus) {
  const variables = await valuesOf(dashboard.templating.list, prometheus);
  const faults = [];
  const panels = [];
  for (const panel of dashboard.panels) {
    const name = `panel ${panel.id} (${panel.title})`;
    if (!DRAWN.includes(panel.type)) faults.push(`${name} is a ${panel.type}: only ${DRAWN.join(", ")} can be drawn`);
    const series = [];
    for (const { refId, expr, legendFormat } of panel.targets) {
      const query = filled(expr, variables);
      try {
        const found = await prometheus.series(query, STEP);
        if (!found.some((one) => one.values.some(([, value]) => value !== "NaN"))) {
          faults.push(`${name}, question ${refId}: nothing in the recording answers ${query}`);
        }
        for (const { metric, values } of found) series.push({ refId, ...named(metric, legendFormat, query), values });
      } catch (fault) {
        faults.push(`${name}, question ${refId}: ${fault.message}: ${query}`);
      }
    }
    panels.push({ panel, series });
  }
  if (faults.length) throw new Error(faults.join("\n"));
  return panels;
}

/** The values of the variables with everything chosen. */
async function valuesOf(list, prometheus) {
  const values = {};
  for (const { name, type, allValue, query } of list) {
    if (type === "datasource") continue;
    const [, selector, label] = /^label_values\((.+), *(\w+)\)$/.exec(query.query) ?? [];
    if (!label) throw new Error(`variable ${name}: ${query.query} is not understood`);
    const found = await prometheus.labels(selector, label);
    if (!found.length) throw new Error(`variable ${name}: nothing in the recording answers ${query.query}`);
    values[name] = allValue ?? `(${found.map(escaped).join("|")})`;
  }
  return values;
}

/** A value as it stands in a regular expression, within quotes. */
function escaped(value) {
  return value.replace(/[\\^$.*+?()[\]{}|]/g, "\\\\$&");
}

function filled(expr, variables) {
  return expr.replace(/\$(\w+)/g, (_, name) => {
    if (!(name in variables)) throw new Error(`no such variable: $${name} in ${expr}`);
    return variables[name];
  });
}

/** The name of a series by the panel's `legendFormat`. */
function named(labels, legendFormat, query) {
  if (!legendFormat) return { name: query, labels };
  return { name: legendFormat.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? ""), labels };
}
