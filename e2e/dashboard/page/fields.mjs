// Makes Grafana's data frames out of Prometheus's series, with a panel's field settings applied.
//
// In: a panel, its series, the theme. Out: one frame a series, of a time and a value. What the panel
// leaves open is as Grafana has it for a new panel of its type. A setting that is not known here throws:
// a picture must not show less than the file says.

import { FieldType, createDataFrame, fieldMatchers, getDisplayProcessor } from "@grafana/data";

/** The settings of a time series that has none. */
const PLAIN = {
  axisBorderShow: false,
  axisColorMode: "text",
  axisPlacement: "auto",
  barAlignment: 0,
  drawStyle: "line",
  fillOpacity: 0,
  gradientMode: "none",
  hideFrom: { legend: false, tooltip: false, viz: false },
  insertNulls: false,
  lineInterpolation: "linear",
  lineWidth: 1,
  pointSize: 5,
  scaleDistribution: { type: "linear" },
  showPoints: "auto",
  spanNulls: false,
  stacking: { group: "A", mode: "none" },
  thresholdsStyle: { mode: "off" },
};

/** The colours that Grafana takes where a panel names none. */
const COLOR = { stat: "thresholds", "state-timeline": "thresholds", timeseries: "palette-classic" };

const STEPS = [
  { color: "green", value: null },
  { color: "red", value: 80 },
];

/** What a field may be told besides `custom` settings, which are those above and `lineStyle`. */
const KNOWN = ["color", "decimals", "displayName", "mappings", "max", "min", "thresholds", "unit"];
const CUSTOM = [...Object.keys(PLAIN), "lineStyle"];

export function frames({ panel, series }, theme) {
  const made = series.map(({ refId, name, labels, values }) =>
    createDataFrame({
      refId,
      fields: [
        { name: "Time", type: FieldType.time, values: values.map(([at]) => at * 1000), config: {} },
        {
          name: "Value",
          type: FieldType.number,
          labels,
          values: values.map(([, value]) => number(value)),
          config: { ...plain(panel), displayNameFromDS: name },
        },
      ],
    }),
  );
  const numbers = made.flatMap((frame) => frame.fields[1].values).filter((value) => value !== null);
  const all = { min: Math.min(...numbers), max: Math.max(...numbers) };
  made.forEach((frame, index) => {
    const [time, value] = frame.fields;
    for (const { matcher, properties } of panel.fieldConfig.overrides) {
      const matches = fieldMatchers.get(matcher.id).get(matcher.options);
      if (matches(value, frame, made)) properties.forEach((property) => set(value.config, property));
    }
    const { min = all.min, max = all.max } = value.config;
    value.state = { ...value.state, seriesIndex: index, range: { min, max, delta: max - min } };
    time.display = getDisplayProcessor({ field: time, theme, timeZone: "utc" });
    value.display = getDisplayProcessor({ field: value, theme, timeZone: "utc" });
  });
  return made;
}

/** A panel's settings for all of its fields. */
function plain(panel) {
  const { custom = {}, thresholds, ...defaults } = structuredClone(panel.fieldConfig.defaults);
  Object.keys(defaults).forEach((name) => place({}, name));
  Object.keys(custom).forEach((name) => place({}, `custom.${name}`));
  const { mode, steps } = thresholds ?? { mode: "absolute", steps: STEPS };
  return {
    color: { mode: COLOR[panel.type] },
    ...defaults,
    // JSON has no minus infinity, which is what the first step's null means.
    thresholds: { mode, steps: steps.map((step) => ({ ...step, value: step.value ?? -Infinity })) },
    custom: { ...structuredClone(PLAIN), ...custom },
  };
}

function set(config, { id, value }) {
  const [settings, name] = place(config, id);
  settings[name] = value;
}

/** Where a setting stands. */
function place(config, id) {
  const [custom, name] = id.startsWith("custom.") ? [true, id.slice("custom.".length)] : [false, id];
  if (!(custom ? CUSTOM : KNOWN).includes(name)) throw new Error(`the setting ${id} is not known here`);
  return [custom ? config.custom : config, name];
}

/** A number as Prometheus writes it; what is none leaves a gap, as in Grafana. */
function number(text) {
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}
