// Draws the states of things over time.
//
// Grafana's own state timeline is no part of its packages: the frame, the axes, the values' words and
// colours are Grafana's here, the bars are drawn below. In and out are as in panels.jsx.

import React from "react";
import { AxisPlacement, ScaleDirection, ScaleOrientation } from "@grafana/schema";
import { UPlotChart, UPlotConfigBuilder, VizLayout, VizLegend } from "@grafana/ui";
import { frames } from "./fields.mjs";

export function Timeline({ answer, width, height, range, theme }) {
  const rows = frames(answer, theme).map((frame) => ({
    name: frame.fields[1].config.displayNameFromDS,
    times: frame.fields[0].values,
    // What is not known has neither word nor colour.
    shown: frame.fields[1].values.map((value) => (value === null ? {} : frame.fields[1].display(value))),
  }));
  const ends = [range.from.valueOf(), range.to.valueOf()];
  const config = new UPlotConfigBuilder("utc");
  config.addScale({
    scaleKey: "x",
    isTime: true,
    orientation: ScaleOrientation.Horizontal,
    direction: ScaleDirection.Right,
    range: () => ends,
  });
  config.addScale({
    scaleKey: "y",
    orientation: ScaleOrientation.Vertical,
    direction: ScaleDirection.Down,
    range: () => [0, rows.length],
  });
  config.addAxis({
    scaleKey: "x",
    isTime: true,
    placement: AxisPlacement.Bottom,
    timeZone: "utc",
    theme,
    grid: { show: false },
  });
  config.addAxis({
    scaleKey: "y",
    placement: AxisPlacement.Left,
    theme,
    grid: { show: false },
    ticks: { show: false },
    splits: rows.map((_, index) => index + 0.5),
    values: (_, splits) => splits.map((at) => rows[Math.floor(at)].name),
  });
  const { custom, mappings } = answer.panel.fieldConfig.defaults;
  const look = { share: answer.panel.options.rowHeight ?? 0.9, opacity: (custom?.fillOpacity ?? 70) / 100 };
  config.addHook("draw", (plot) => bars(plot, rows, look));
  const legend = (
    <VizLayout.Legend placement="bottom">
      <VizLegend placement="bottom" displayMode="list" items={words(rows, mappings ?? [])} />
    </VizLayout.Legend>
  );
  return (
    <VizLayout width={width} height={height} legend={legend}>
      {(inner, high) => (
        <UPlotChart width={inner} height={high} config={config} data={[ends, ends.map(() => null)]} />
      )}
    </VizLayout>
  );
}

/** The words that stand for colours in the bars, in the panel's order. */
function words(rows, mappings) {
  const order = mappings.flatMap(({ options }) => Object.values(options).map(({ text }) => text));
  const colours = new Map(rows.flatMap(({ shown }) => shown.map(({ text, color }) => [text, color])));
  return [...colours]
    .filter(([label]) => label)
    .map(([label, color]) => ({ label, color, yAxis: 1 }))
    .sort((one, other) => order.indexOf(one.label) - order.indexOf(other.label));
}

/** One bar for each time that a row's word stayed the same. */
function bars(plot, rows, { share, opacity }) {
  const { ctx } = plot;
  const x = (at) => plot.valToPos(at, "x", true);
  const y = (at) => plot.valToPos(at, "y", true);
  ctx.save();
  ctx.globalAlpha = opacity;
  rows.forEach(({ times, shown }, row) => {
    const [top, bottom] = [y(row + (1 - share) / 2), y(row + (1 + share) / 2)];
    for (let begin = 0, end = 0; begin < times.length; begin = end) {
      while (end < times.length && shown[end].text === shown[begin].text) end += 1;
      if (!shown[begin].color) continue;
      const left = x(times[begin]);
      const right = x(times[Math.min(end, times.length - 1)]);
      ctx.fillStyle = shown[begin].color;
      ctx.fillRect(left, top, Math.max(right - left - 1, 1), bottom - top);
    }
  });
  ctx.restore();
}
