// The page that is photographed: a dashboard with its panels where the file has them.
//
// In: `window.dashboard`, with `panels` (each a panel and its series), `from`, `to`, `width`.
// Out: the page, and `window.drawn` once every panel is there. The first error goes to the console.

import React, { useEffect } from "react";
import { createRoot } from "react-dom/client";
import { ThemeContext, createTheme, dateTime } from "@grafana/data";
import { GlobalStyles, PanelChrome } from "@grafana/ui";
import { initPluginTranslations } from "@grafana/i18n";
import { DRAWS } from "./panels.jsx";

/** Grafana's grid: 24 columns, rows of 30 pixels, 8 between them. */
const COLUMNS = 24;
const ROW = 30;
const GAP = 8;

function Page({ panels, from, to, width, theme }) {
  const range = { from: dateTime(from * 1000), to: dateTime(to * 1000), raw: { from: "", to: "" } };
  const column = (width - GAP) / COLUMNS;
  const rows = Math.max(...panels.map(({ panel: { gridPos } }) => gridPos.y + gridPos.h));
  useEffect(() => {
    document.fonts.ready.then(() => requestAnimationFrame(() => (window.drawn = true)));
  }, []);
  return (
    <div style={{ position: "relative", width, height: rows * (ROW + GAP) + GAP }}>
      {panels.map((answer) => {
        const { id, type, title, description, gridPos } = answer.panel;
        const Draw = DRAWS[type];
        const box = {
          left: GAP + gridPos.x * column,
          top: GAP + gridPos.y * (ROW + GAP),
          width: Math.round(gridPos.w * column - GAP),
          height: gridPos.h * (ROW + GAP) - GAP,
        };
        return (
          <div key={id} id={`panel-${id}`} style={{ position: "absolute", ...box }}>
            <PanelChrome title={title} description={description || undefined} width={box.width} height={box.height}>
              {(inner, high) => <Draw answer={answer} width={inner} height={high} range={range} theme={theme} />}
            </PanelChrome>
          </div>
        );
      })}
    </div>
  );
}

await initPluginTranslations("cc-relay");
const theme = createTheme({ colors: { mode: "dark" } });
createRoot(document.getElementById("root")).render(
  <ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <Page {...window.dashboard} theme={theme} />
  </ThemeContext.Provider>,
);
