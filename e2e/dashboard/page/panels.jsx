// Draws a panel of each type with Grafana's own components.
//
// In: a panel with its series, its size, the range and the theme. Out: what Grafana shows for it.

import React from "react";
import { getDisplayValueAlignmentFactors, getFieldDisplayValues } from "@grafana/data";
import { BigValue, TimeSeries } from "@grafana/ui";
import { frames } from "./fields.mjs";
import { Timeline } from "./timeline.jsx";

/** What Grafana shows of a legend where the panel leaves it open. */
const LEGEND = { calcs: [], displayMode: "list", placement: "bottom", showLegend: true };

export const DRAWS = { stat: Stat, "state-timeline": Timeline, timeseries: Lines };

function Lines({ answer, width, height, range, theme }) {
  return (
    <TimeSeries
      frames={frames(answer, theme)}
      width={width}
      height={height}
      timeRange={range}
      timeZone="utc"
      legend={{ ...LEGEND, ...answer.panel.options.legend }}
    />
  );
}

function Stat({ answer, width, height, range, theme }) {
  const { colorMode, graphMode, reduceOptions, textMode, justifyMode, text } = answer.panel.options;
  const data = frames(answer, theme);
  const values = getFieldDisplayValues({
    data,
    fieldConfig: { defaults: {}, overrides: [] },
    reduceOptions: { values: false, ...reduceOptions },
    replaceVariables: (words) => words,
    sparkline: graphMode !== "none",
    theme,
    timeZone: "utc",
  });
  const factors = getDisplayValueAlignmentFactors(values);
  return values.map(({ display, sparkline }, index) => (
    <BigValue
      key={index}
      width={width / values.length}
      height={height}
      theme={theme}
      // A lone value has no name beside it.
      value={values.length > 1 ? display : { ...display, title: undefined }}
      sparkline={sparkline && { ...sparkline, timeRange: range }}
      colorMode={colorMode}
      graphMode={graphMode}
      justifyMode={justifyMode ?? "auto"}
      textMode={textMode ?? "auto"}
      text={text}
      alignmentFactors={factors}
    />
  ));
}
